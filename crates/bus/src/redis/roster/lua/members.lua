-- Answers with member, info, member, info, …
local found = {}
for _, member in ipairs(living()) do
  found[#found + 1] = member
  found[#found + 1] = redis.call('HGET', hash_of(member), '.info') or ''
end
return found
