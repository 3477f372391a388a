-- ARGV: a claim, then member, key, member, key, … of the answer to its take_expired. Removes these entries.
for index = 2, #ARGV, 2 do
  local member, key = ARGV[index], ARGV[index + 1]
  if redis.call('GET', base .. ':claim:' .. member) == ARGV[1] then
    redis.call('HDEL', hash_of(member), 'e' .. key)
  end
end
for index = 2, #ARGV, 2 do
  local claim_key = base .. ':claim:' .. ARGV[index]
  if redis.call('GET', claim_key) == ARGV[1] then redis.call('DEL', claim_key) end
end
return 0
