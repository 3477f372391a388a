-- ARGV: member, key, and the value to put; without a value, removes the entry.
-- Returns the token of the lease, the number of writes under it, and the entries of others under the key.
local member, key, value = ARGV[1], ARGV[2], ARGV[3]
if not takes_part(member) then return EXPIRED end
local hash = hash_of(member)
if value then
  redis.call('HSET', hash, 'e' .. key, value)
else
  redis.call('HDEL', hash, 'e' .. key)
end
local writes = redis.call('HINCRBY', hash, '.writes', 1)
local token = redis.call('HGET', hash, '.token')
if not token then
  -- Redis has evicted the hash. The next heartbeat starts a new lease and deletes this hash.
  redis.call('PEXPIRE', hash, KEEP)
end
return { token or '', writes, others(key, member) }
