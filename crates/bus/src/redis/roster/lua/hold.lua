-- ARGV: member, name, ttl in ms. Answers with 1 if the member has it now.
local member = ARGV[1]
if not lives(member) then return LAPSED end
local key = base .. ':hold:' .. ARGV[2]
local holder = redis.call('GET', key)
if holder and holder ~= member and lives(holder) then return 0 end
redis.call('SET', key, member, 'PX', ARGV[3])
return 1
