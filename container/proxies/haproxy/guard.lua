-- Asks Hallpass whether a request may pass. HAProxy has no such thing built in; the client that it asks with it has.
--
--   http-request lua.guard -                 a session
--   http-request lua.guard level=aal2        a session with a second factor
--   http-request lua.guard limit=reports     and a limit of that name
--
-- A request that may pass goes on with the identity in its headers; any other is answered here.

-- The frontend of this name leads to the replicas.
local GUARD = "abns@hallpass-guard"
local PATH = "/api/authz/forward-auth"
local TIMEOUT_MS = 5000

local ASKED_WITH = { "cookie", "authorization", "accept", "user-agent", "origin", "sec-fetch-site", "sec-fetch-mode",
    "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host" }
local IDENTITY = { "remote-user", "remote-name", "remote-email", "x-hallpass-user-id", "x-hallpass-level",
    "x-hallpass-methods" }
local TOLD = { "location", "content-type", "cache-control", "retry-after", "ratelimit", "ratelimit-policy",
    "www-authenticate", "x-request-id" }

local function values(of_name)
    local all = {}
    local at = 0
    while of_name ~= nil and of_name[at] ~= nil do
        all[#all + 1] = of_name[at]
        at = at + 1
    end
    return all
end

local function refuse(txn, status, headers, body)
    local reply = txn:reply({ status = status })
    for _, header in ipairs(headers) do
        reply:add_header(header[1], header[2])
    end
    reply:set_body(body)
    txn:done(reply)
end

local function ask(txn, demand)
    local came = txn.http:req_get_headers()
    local headers = {}
    for _, name in ipairs(ASKED_WITH) do
        -- All of them: what is there twice must be seen to be there twice.
        local all = values(came[name])
        if #all > 0 then
            headers[name] = all
        end
    end
    headers["x-forwarded-method"] = { txn.f:method() }
    headers["x-forwarded-uri"] = { txn.f:pathq() }
    local url = "http://hallpass" .. PATH
    if demand ~= "-" then
        url = url .. "?" .. demand
    end
    return core.httpclient():get({ url = url, dst = GUARD, headers = headers, timeout = TIMEOUT_MS })
end

core.register_action("guard", { "http-req" }, function(txn, demand)
    local answer = ask(txn, demand)
    if answer.status == 200 then
        for _, name in ipairs(IDENTITY) do
            txn.http:req_del_header(name)
            for _, value in ipairs(values(answer.headers[name])) do
                txn.http:req_set_header(name, value)
            end
        end
        txn:set_var("txn.guarded", true)
        return
    end
    if answer.status == nil or answer.status == 0 or (answer.status < 300) then
        -- Nobody gets in while the guard can't be asked.
        refuse(txn, 503, { { "retry-after", "1" } }, "")
        return
    end
    local told = {}
    for _, name in ipairs(TOLD) do
        for _, value in ipairs(values(answer.headers[name])) do
            told[#told + 1] = { name, value }
        end
    end
    refuse(txn, answer.status, told, answer.body or "")
end, 1)
