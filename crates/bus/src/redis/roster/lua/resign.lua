-- ARGV: member.
redis.call('ZADD', leases, 'XX', now, ARGV[1])
return 0
