-- ARGV: a name of a sweep whose answer has arrived, then member, key, member, key, … of what it gave: removes that.
for index = 2, #ARGV, 2 do
  local member, key = ARGV[index], ARGV[index + 1]
  if redis.call('GET', base .. ':claim:' .. member) == ARGV[1] then
    redis.call('HDEL', hash_of(member), 'e' .. key)
  end
end
for index = 2, #ARGV, 2 do
  local claim = base .. ':claim:' .. ARGV[index]
  if redis.call('GET', claim) == ARGV[1] then redis.call('DEL', claim) end
end
return 0
