--- An ordinary request that sends to all who are in the chat.

local resty = require "libws.resty"

resty.server:publish("chat", ngx.unescape_uri(ngx.var.arg_text or ""))
ngx.say "sent"
