-- All verbs of shared limits. One call of this script is one step that nothing comes between.
--
-- KEYS[1]  hash of the epoch: nonce, until (microseconds; before it workers still tell what they hold)
-- ARGV[1]  verb, ARGV[2] worker, ARGV[3] lease in milliseconds, then what the verb takes
-- EPOCH    is put before this text: a server that was started anew does not know the script of the old epoch any more
--
-- Answers are one packed list of whole numbers: cheaper to read than one by one.
-- Numbers are doubles: whole below 2^53, which `script.py` sees to.
local prefix = KEYS[1] .. ':' .. EPOCH .. ':'
local verb, worker, lease = ARGV[1], ARGV[2], tonumber(ARGV[3])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local WORKERS = prefix .. 'workers'
local RULES = prefix .. 'rules'
local KEPT = 2 * 86400000 -- milliseconds an idle counter is kept, and a call that was charged in its worker's absence

local function whole(number) return string.format('%.0f', number) end
local function counter(bound) return prefix .. 'c:' .. bound.key end
local function calls(name) return prefix .. 'w:' .. name end

-- what a call sets aside under a rule
local function amount(bound, tokens, cost)
  if bound.what == 't' then return tokens elseif bound.what == 'd' then return cost else return 1 end
end

local function read(bound)
  local key = counter(bound)
  local found = redis.call('HMGET', key, 'value', 'held', 'at', 'length', 'ok')
  local meter = { key = key, value = tonumber(found[1] or '0'), held = tonumber(found[2] or '0'),
    at = tonumber(found[3] or '0'), ok = found[5] }
  if bound.kind == 'p' then
    local had = tonumber(found[4] or '0')
    if had > 0 and had ~= bound.length then meter.value = math.ceil(meter.value * (bound.length / had)) end
    local ticks = math.floor((now - meter.at) / bound.tick)
    if ticks > 0 then
      meter.value = math.max(0, meter.value - bound.limit * ticks)
      meter.at = meter.at + ticks * bound.tick
    end
    if meter.value == 0 then meter.at = math.max(meter.at, now) end
  end
  return meter
end

local function write(bound, meter)
  if meter.held < 0 then meter.held = 0 end
  local keep = KEPT
  if bound.kind == 'p' then
    redis.call('HSET', meter.key, 'value', whole(meter.value), 'held', whole(meter.held), 'at', whole(meter.at),
      'length', whole(bound.length))
    keep = keep + math.ceil(meter.value / bound.limit) * bound.tick / 1000
  else
    redis.call('HSET', meter.key, 'value', whole(meter.value), 'held', whole(meter.held), 'ok', meter.ok or '')
    if bound.kind == 't' then
      if bound.ends == 0 then return end
      keep = keep + math.max(0, bound.ends - math.floor(now / 1000))
    end
  end
  redis.call('PEXPIRE', meter.key, whole(keep))
end

-- Whether the window's counter is complete: seen before, begun under the rule, or opened from the ledger.
local function known(bound, meter)
  if bound.kind ~= 't' or meter.ok == '1' then return true end
  local since = redis.call('HGET', RULES, bound.identity)
  if not since or bound.begin < tonumber(since) then return false end
  meter.ok = '1'
  return true
end

local function fits(bound, meter, more)
  if more > bound.limit then return false end
  if bound.kind == 'p' then
    return meter.value + (meter.held + more) * bound.length <= bound.limit * bound.length
  end
  return more <= bound.limit - meter.value - meter.held
end

-- 0: below the warning share, 1: above it, 2: above it for the first time in this window
local function warns(bound, meter)
  local used = meter.value
  if bound.kind == 'p' then used = math.ceil(used / bound.length) end
  if used + meter.held < bound.warn then return 0 end
  local note, rest = prefix .. 'n:' .. bound.key, 60000
  if bound.kind == 'p' then rest = bound.length * bound.tick / 1000 end
  if bound.kind == 't' then rest = bound.ends == 0 and KEPT or math.max(1, bound.ends - math.floor(now / 1000)) end
  return redis.call('SET', note, '1', 'NX', 'PX', whole(math.ceil(rest))) and 2 or 1
end

-- microseconds until it fits; -1 for never, -2 for the end of the window, -3 for as soon as a call in flight ends
local function wait(bound, meter, more)
  if bound.kind == 'c' then return -3 end
  if more > bound.limit then return -1 end
  if bound.kind == 't' then
    if meter.value + more <= bound.limit then return -3 end
    return -2
  end
  local excess = meter.value + (meter.held + more - bound.limit) * bound.length
  if excess > meter.value then return -3 end
  return math.max(0, meter.at + math.ceil(excess / bound.limit) * bound.tick - now)
end

local function parse(record)
  local tokens, cost, blob = string.match(record, '^(%d+):(%d+):(.*)$')
  return tonumber(tokens), tonumber(cost), cmsgpack.unpack(blob), blob
end

local function hold(bounds, meters, tokens, cost)
  for i, bound in ipairs(bounds) do
    local meter = meters[i]
    if bound.what == 'r' then
      meter.value = meter.value + (bound.kind == 'p' and bound.length or 1)
    else
      meter.held = meter.held + amount(bound, tokens, cost)
    end
    write(bound, meter)
  end
end

-- Replaces what a call holds by what it used; tells value and time of each counter, -1 for one it did not touch.
-- `late`: the call was charged with what it held already.
local function release(record, tokens, cost, late, reply)
  local had_tokens, had_cost, bounds = parse(record)
  if cost < 0 then cost = had_cost end
  reply[#reply + 1] = #bounds
  for _, bound in ipairs(bounds) do
    if bound.what ~= 'r' then
      local meter = read(bound)
      local had, used = amount(bound, had_tokens, had_cost), amount(bound, tokens, cost)
      if not late then meter.held = meter.held - had end
      if bound.kind == 't' then
        meter.value = meter.value + used - (late and had or 0)
      elseif bound.kind == 'p' then
        meter.value = meter.value + (late and math.max(0, used - had) or used) * bound.length
      end
      if not (late and bound.kind == 'c') then write(bound, meter) end
      reply[#reply + 1], reply[#reply + 2] = meter.value, meter.at
    else
      reply[#reply + 1], reply[#reply + 2] = -1, 0
    end
  end
end

-- Charges what workers held that are gone; their calls are remembered, should somebody know better later.
local function reap()
  local gone = redis.call('ZRANGEBYSCORE', WORKERS, '-inf', whole(now), 'LIMIT', 0, 1)
  for _, name in ipairs(gone) do
    local all = redis.call('HGETALL', calls(name))
    for i = 1, #all, 2 do
      if all[i + 1] ~= '' then
        local tokens, cost = parse(all[i + 1])
        release(all[i + 1], tokens, cost, false, {})
        redis.call('SET', prefix .. 'g:' .. all[i], all[i + 1], 'PX', KEPT)
      end
    end
    redis.call('DEL', calls(name))
    redis.call('ZREM', WORKERS, name)
  end
end

local function renew() redis.call('ZADD', WORKERS, whole(now + lease * 1000), worker) end

local verbs = {}

function verbs.reserve(call, tokens, cost, blob)
  renew()
  reap()
  tokens, cost = tonumber(tokens), tonumber(cost)
  local bounds, meters, fit, lacks, reply = cmsgpack.unpack(blob), {}, {}, { 0 }, { 1 }
  for i, bound in ipairs(bounds) do
    local meter = read(bound)
    if not known(bound, meter) then return { -1, 3, 0 } end
    local more = amount(bound, tokens, cost)
    meters[i] = meter
    fit[i] = fits(bound, meter, more)
    if not fit[i] and bound.enforce == 1 then
      for _, fact in ipairs({ i, meter.value, meter.held, wait(bound, meter, more) }) do lacks[#lacks + 1] = fact end
    end
  end
  if #lacks > 1 then return lacks end
  local record = whole(tokens) .. ':' .. whole(cost) .. ':' .. blob
  if redis.call('HSETNX', calls(worker), call, record) == 0 then
    return { -1, 4, 0 }
  end
  hold(bounds, meters, tokens, cost)
  for i, meter in ipairs(meters) do
    local facts = { fit[i] and 1 or 0, warns(bounds[i], meter), meter.value, meter.held, meter.at }
    for _, fact in ipairs(facts) do reply[#reply + 1] = fact end
  end
  return reply
end

function verbs.extend(call, tokens, cost)
  renew()
  tokens, cost = tonumber(tokens), tonumber(cost)
  local record = redis.call('HGET', calls(worker), call)
  if not record or record == '' then return { 0 } end
  local had_tokens, had_cost, bounds, blob = parse(record)
  local meters, taken = {}, {}
  for _, bound in ipairs(bounds) do
    local more = bound.what == 't' and tokens or bound.what == 'd' and cost or 0
    if more > 0 then
      local meter = read(bound)
      if bound.enforce == 1 and not fits(bound, meter, more) then return { 0 } end
      meters[#meters + 1], taken[#taken + 1] = meter, bound
    end
  end
  hold(taken, meters, tokens, cost)
  redis.call('HSET', calls(worker), call, whole(had_tokens + tokens) .. ':' .. whole(had_cost + cost) .. ':' .. blob)
  return { 1 }
end

-- triples of call, tokens, cost; cost -1: what was held; tokens -1: nobody knows whether the call was ever reserved
function verbs.settle(...)
  local given = { ... }
  local reply = { 1 }
  for i = 1, #given, 3 do
    local call, tokens, cost = given[i], tonumber(given[i + 1]), tonumber(given[i + 2])
    local record = redis.call('HGET', calls(worker), call)
    if record and record ~= '' then
      redis.call('HDEL', calls(worker), call)
      release(record, math.max(tokens, 0), cost, false, reply)
    elseif tokens < 0 then
      redis.call('HSET', calls(worker), call, '')
      reply[#reply + 1] = 0
    elseif record then
      redis.call('HDEL', calls(worker), call)
      reply[#reply + 1] = 0
    else
      local late = redis.call('GET', prefix .. 'g:' .. call)
      if late then
        redis.call('DEL', prefix .. 'g:' .. call)
        release(late, tokens, cost, true, reply)
      else
        reply[#reply + 1] = 0
      end
    end
  end
  return reply
end

function verbs.beat()
  renew()
  reap()
  return { 1 }
end

-- A worker tells again what it holds: pairs of call and record.
function verbs.join(...)
  renew()
  local given = { ... }
  for i = 1, #given, 2 do
    if redis.call('HSETNX', calls(worker), given[i], given[i + 1]) == 1 then
      local tokens, cost, bounds = parse(given[i + 1])
      for _, bound in ipairs(bounds) do
        if bound.what ~= 'r' then
          local meter = read(bound)
          meter.held = meter.held + amount(bound, tokens, cost)
          write(bound, meter)
        end
      end
    end
  end
  return { 1 }
end

-- A worker tells what it last saw: triples of a bound, value, at. The highest that anybody saw is true.
function verbs.recall(...)
  local given = { ... }
  for i = 1, #given, 3 do
    local bound, value, at = cmsgpack.unpack(given[i]), tonumber(given[i + 1]), tonumber(given[i + 2])
    local meter = read(bound)
    if bound.kind == 'p' then
      value = math.max(0, value - bound.limit * math.max(0, math.floor((now - at) / bound.tick)))
    end
    if value > meter.value then
      meter.value = value
      write(bound, meter)
    end
  end
  return { 1 }
end

-- What the ledger says: pairs of identity and begin first, an empty string, then pairs of a bound and its balance.
function verbs.open(...)
  local given, i = { ... }, 1
  local named = {}
  while given[i] ~= '' do
    named[#named + 1] = { given[i], given[i + 1] }
    i = i + 2
  end
  for j = i + 1, #given, 2 do
    local bound, balance = cmsgpack.unpack(given[j]), tonumber(given[j + 1])
    local meter = read(bound)
    if balance > meter.value then
      meter.value = balance
      write(bound, meter)
    end
  end
  for _, pair in ipairs(named) do
    local since = redis.call('HGET', RULES, pair[1])
    if not since or tonumber(pair[2]) < tonumber(since) then redis.call('HSET', RULES, pair[1], pair[2]) end
  end
  return { 1 }
end

-- Ends the epoch that is known to be over, unless somebody else has done so.
if verb == 'begin' then
  if (redis.call('HGET', KEYS[1], 'nonce') or '') == ARGV[4] then
    redis.call('DEL', KEYS[1])
    redis.call('HSET', KEYS[1], 'nonce', EPOCH, 'until', whole(now + tonumber(ARGV[5]) * 1000))
    return cmsgpack.pack({ 1 })
  end
  return cmsgpack.pack({ 0 })
end
local epoch = redis.call('HMGET', KEYS[1], 'nonce', 'until')
if epoch[1] ~= EPOCH then return cmsgpack.pack({ -1, 1, 0 }) end
local left = tonumber(epoch[2]) - now
-- A settlement adds to what was told: were it added before all have told, the greatest value told would not hold it.
if left > 0 and (verb == 'reserve' or verb == 'open' or verb == 'extend' or verb == 'settle') then
  return cmsgpack.pack({ -1, 2, math.ceil(left / 1000) })
end
return cmsgpack.pack(verbs[verb](unpack(ARGV, 4)))
