// A Worker for pages that were opened as files, where a browser starts none: the
// search of the documentation runs in one. Its script gets a hidden frame instead of
// a thread, and has there what it uses: messages both ways, and importScripts().
(() => {
  if (location.protocol !== 'file:') return

  const load = (page, url) => new Promise((done, failed) => {
    const script = page.createElement('script')
    script.src = url
    script.async = false
    script.onload = done
    script.onerror = () => failed(new Error(`cannot load ${url}`))
    page.head.append(script)
  })

  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      this.frame = document.createElement('iframe')
      this.frame.hidden = true
      document.body.append(this.frame)
      const scope = this.frame.contentWindow
      scope.importScripts = (...urls) => Promise.all(urls.map((one) => load(scope.document, one)))
      scope.postMessage = (data) => this.dispatchEvent(new MessageEvent('message', { data }))
      this.ready = load(scope.document, url)
    }

    postMessage(data) {
      const scope = this.frame.contentWindow
      this.ready.then(() => scope.dispatchEvent(new scope.MessageEvent('message', { data })))
    }

    terminate() { this.frame.remove() }
  }
})()
