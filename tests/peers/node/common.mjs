// What client and server share: the pattern of support/libws.py as payloads, and
// one line of JSON for each thing to tell.

const TEXT_PERIOD = 95
const BINARY_PERIOD = 251

export function pattern(size, isText) {
  const period = isText ? TEXT_PERIOD : BINARY_PERIOD
  const first = isText ? 32 : 0
  const unit = Buffer.from(Array.from({ length: period }, (_, i) => first + i))
  return Buffer.alloc(size, unit)
}

export function tell(event) {
  process.stdout.write(JSON.stringify(event) + '\n')
}
