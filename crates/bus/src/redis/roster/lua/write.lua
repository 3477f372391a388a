-- ARGV: member, key, and the value to put; none removes.
-- Answers with the token of the lease, how many writes there were under it, and what others have under the key.
local member, key, value = ARGV[1], ARGV[2], ARGV[3]
if not lives(member) then return LAPSED end
local hash = hash_of(member)
if value then
  redis.call('HSET', hash, 'e' .. key, value)
else
  redis.call('HDEL', hash, 'e' .. key)
end
local writes = redis.call('HINCRBY', hash, '.writes', 1)
local token = redis.call('HGET', hash, '.token')
if not token then
  -- Redis has thrown the hash away to make room. The next beat begins anew, which removes this one too.
  redis.call('PEXPIRE', hash, KEEP)
end
return { token or '', writes, others(key, member) }
