-- ARGV: member, name, ttl in ms. Returns 1 if the member owns the lock now.
local member = ARGV[1]
if not takes_part(member) then return EXPIRED end
local key = base .. ':lock:' .. ARGV[2]
local owner = redis.call('GET', key)
if owner and owner ~= member and takes_part(owner) then return 0 end
redis.call('SET', key, member, 'PX', ARGV[3])
return 1
