-- What all scripts of the roster begin with. KEYS[1] is what all its keys begin with: their hash tag keeps them together on
-- one shard of a Redis Cluster, so that each script is atomic there too.
--
--   …:leases          sorted set: member -> end of its lease, in ms; of the living, and of the dead until all they had is swept
--   …:lapsed          sorted set: member -> when it was swept, so that it can't come back
--   …:member:<id>     hash: .info, .token, .writes, and an entry as e<key>; one key, so that a part of it can't get lost
--   …:claim:<id>      string: who sweeps this dead member now
--   …:hold:<name>     string: who has this lease
--
-- A member's hash goes with its sweep. Where nobody is left to sweep, all keys expire.
local base = KEYS[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local leases, lapsed = base .. ':leases', base .. ':lapsed'
-- For how long after its end a member is remembered, in ms.
local KEEP = 86400000

local function hash_of(member) return base .. ':member:' .. member end

local function lives(member)
  local till = redis.call('ZSCORE', leases, member)
  return till and tonumber(till) > now
end

local function living() return redis.call('ZRANGEBYSCORE', leases, '(' .. now, '+inf') end

-- What living members but one have under the key: member, value, member, value, …
local function others(key, but)
  local found = {}
  for _, member in ipairs(living()) do
    if member ~= but then
      local value = redis.call('HGET', hash_of(member), 'e' .. key)
      if value then
        found[#found + 1] = member
        found[#found + 1] = value
      end
    end
  end
  return found
end

local LAPSED = redis.error_reply('LAPSED the lease has ended')
