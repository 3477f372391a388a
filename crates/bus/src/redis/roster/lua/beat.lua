-- ARGV: member, info, ttl in ms, the token its end knows, how many writes under that token its end knows of.
-- Answers with whether the lease began, and its token.
local member, info, ttl, known, writes = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])
local till = redis.call('ZSCORE', leases, member)
if redis.call('ZSCORE', lapsed, member) or (till and tonumber(till) <= now) then return LAPSED end

local hash = hash_of(member)
local state = redis.call('HMGET', hash, '.token', '.writes')
local token = state[1]
-- It began for its end only when the end has heard so: an answer may have been lost. And if the roster has fewer writes
-- than it has confirmed, a failover has lost some: all have to be put again.
local began = not till or not token or token ~= known or (tonumber(state[2]) or 0) < writes
if began then
  token = clock[1] .. '.' .. clock[2]
  redis.call('DEL', hash)
  redis.call('HSET', hash, '.token', token, '.writes', 0)
end
redis.call('HSET', hash, '.info', info)
redis.call('PEXPIRE', hash, ttl + KEEP)
redis.call('ZADD', leases, now + ttl, member)
redis.call('PEXPIRE', leases, ttl + KEEP)
redis.call('PEXPIRE', lapsed, KEEP)
return { began and 1 or 0, token }
