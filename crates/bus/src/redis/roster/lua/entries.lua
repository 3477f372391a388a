-- ARGV: keys. Answers with what living members have under each: member, value, member, value, …
local fields, found = {}, {}
for index, key in ipairs(ARGV) do
  fields[index] = 'e' .. key
  found[index] = {}
end
for _, member in ipairs(living()) do
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
