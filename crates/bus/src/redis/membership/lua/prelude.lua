-- The common prelude of all scripts of the membership registry.
--
-- KEYS[1] is the prefix of all keys. Its hash tag keeps them on one shard of a Redis Cluster, so that
-- each script is atomic there too.
--
--   …:leases          sorted set: member -> expiry of its lease in ms; expired members stay until a caller
--                     takes their entries
--   …:tombstones      sorted set: member -> when its last entry was taken, so that its id cannot start again
--   …:member:<id>     hash: .info, .token, .writes, .left, and each entry as e<key>; one key, so that Redis
--                     loses all of it or nothing
--   …:claim:<id>      string: the call of take_expired that works on this expired member
--   …:lock:<name>     string: the owner of the lock
--
-- take_expired deletes the hash of an expired member. If no member is left to do so, all keys expire.
local base = KEYS[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local leases, tombstones = base .. ':leases', base .. ':tombstones'
-- How long the registry remembers an expired member, in ms.
local KEEP = 86400000

local function hash_of(member) return base .. ':member:' .. member end

local function is_alive(member)
  local expires = redis.call('ZSCORE', leases, member)
  return expires and tonumber(expires) > now
end

-- True if the member is alive and has not left.
local function takes_part(member)
  return is_alive(member) and redis.call('HGET', hash_of(member), '.left') == false
end

local function live_members() return redis.call('ZRANGEBYSCORE', leases, '(' .. now, '+inf') end

-- Entries of live members under the key, except those of one member: member, value, member, value, …
local function others(key, except)
  local found = {}
  for _, member in ipairs(live_members()) do
    if member ~= except then
      local value = redis.call('HGET', hash_of(member), 'e' .. key)
      if value then
        found[#found + 1] = member
        found[#found + 1] = value
      end
    end
  end
  return found
end

local EXPIRED = redis.error_reply('EXPIRED the lease has expired')
