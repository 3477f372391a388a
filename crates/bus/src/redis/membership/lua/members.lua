-- Returns the live members that have not left: member, info, member, info, …
local found = {}
for _, member in ipairs(live_members()) do
  local state = redis.call('HMGET', hash_of(member), '.info', '.left')
  if not state[2] then
    found[#found + 1] = member
    found[#found + 1] = state[1] or ''
  end
end
return found
