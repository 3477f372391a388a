-- ARGV: keys. Returns the entries of live members under each key: member, value, member, value, …
local fields, found = {}, {}
for index, key in ipairs(ARGV) do
  fields[index] = 'e' .. key
  found[index] = {}
end
for _, member in ipairs(live_members()) do
  local values = redis.call('HMGET', hash_of(member), unpack(fields))
  for index, value in ipairs(values) do
    if value then
      local list = found[index]
      list[#list + 1] = member
      list[#list + 1] = value
    end
  end
end
return found
