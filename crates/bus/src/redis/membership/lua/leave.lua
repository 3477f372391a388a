-- ARGV: member, for how many ms its entries stay visible.
local member = ARGV[1]
if takes_part(member) then
  redis.call('HSET', hash_of(member), '.left', 1)
  redis.call('PEXPIRE', hash_of(member), tonumber(ARGV[2]) + KEEP)
  redis.call('ZADD', leases, 'XX', now + tonumber(ARGV[2]), member)
end
return 0
