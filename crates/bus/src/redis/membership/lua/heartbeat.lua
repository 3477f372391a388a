-- ARGV: member, info, ttl in ms, the token known to the client, the number of writes confirmed to it
-- under that token. Returns whether the lease is new, and its token.
local member, info, ttl, known, writes = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])
local expires = redis.call('ZSCORE', leases, member)
if redis.call('ZSCORE', tombstones, member) or (expires and tonumber(expires) <= now) then return EXPIRED end

local hash = hash_of(member)
local state = redis.call('HMGET', hash, '.token', '.writes', '.left')
if expires and state[3] then return EXPIRED end
local token = state[1]
-- A different token means that the answer to the first heartbeat was lost. Fewer writes than the client
-- has confirmed mean that a failover has lost some. In both cases the member has to write all its entries
-- again.
local started = not expires or not token or token ~= known or (tonumber(state[2]) or 0) < writes
if started then
  token = clock[1] .. '.' .. clock[2]
  redis.call('DEL', hash)
  redis.call('HSET', hash, '.token', token, '.writes', 0)
end
redis.call('HSET', hash, '.info', info)
redis.call('PEXPIRE', hash, ttl + KEEP)
redis.call('ZADD', leases, now + ttl, member)
redis.call('PEXPIRE', leases, ttl + KEEP)
redis.call('PEXPIRE', tombstones, KEEP)
return { started and 1 or 0, token }
