local ASKED_WITH = { "cookie", "authorization", "accept", "sec-fetch-site", "sec-fetch-mode", "x-forwarded-for" }
local IDENTITY = { "remote-user", "remote-name", "remote-email", "x-hallpass-user-id", "x-hallpass-level",
    "x-hallpass-methods" }

core.register_action("guard", { "http-req" }, function(txn, demand)
    local came, headers = txn.http:req_get_headers(), {}
    for _, name in ipairs(ASKED_WITH) do
        if came[name] ~= nil then
            headers[name] = { came[name][0] }
        end
    end
    headers["x-forwarded-method"] = { txn.f:method() }
    local url = "http://@HALLPASS@/api/authz/forward-auth"
    if demand ~= "-" then
        url = url .. "?" .. demand
    end
    local answer = core.httpclient():get({ url = url, headers = headers, timeout = 5000 })
    if answer.status == 200 then
        for _, name in ipairs(IDENTITY) do
            txn.http:req_set_header(name, answer.headers[name][0])
        end
        return
    end
    local status = answer.status
    if status == nil or status < 400 then
        status = 503
    end
    local reply = txn:reply({ status = status })
    if answer.headers ~= nil and answer.headers["retry-after"] ~= nil then
        reply:add_header("retry-after", answer.headers["retry-after"][0])
    end
    txn:done(reply)
end, 1)
