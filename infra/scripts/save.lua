-- Save a checkpoint, if it moves the model forward.
--
-- KEYS[1] gradstream:{NAME}            hash of readable fields
-- KEYS[2] gradstream:{NAME}:tensors    hash of blocks
-- KEYS[3] gradstream:{NAME}:weights    hash of readable weights
-- KEYS[4] a staging hash with all blocks, for a full save; does not exist for a partial one
-- ARGV[1] log offset of the save
-- ARGV[2] topic id of the learning log
-- ARGV[3] log offset since which the blocks are complete; "" for a full save
-- ARGV[4] channel that hears of a new version
-- ARGV[5], ARGV[6], ARGV[7] numbers of readable fields, blocks and weights that follow, as name, value, …
--
-- Returns "saved", "stale" (as far already, or further), "full" (blocks are missing), or
-- "foreign" (the stored checkpoint belongs to another log; nothing is ever overwritten then).

local new = tonumber(ARGV[1])
local stored = redis.call('HGET', KEYS[1], 'log_offset')
if stored then
  if redis.call('HGET', KEYS[1], 'log_topic_id') ~= ARGV[2] then return 'foreign' end
  if tonumber(stored) >= new then return 'stale' end
end
if ARGV[3] == '' then
  if redis.call('EXISTS', KEYS[4]) == 0 then return 'full' end
  redis.call('RENAME', KEYS[4], KEYS[2])
  redis.call('PERSIST', KEYS[2])
elseif not stored or tonumber(stored) < tonumber(ARGV[3]) or redis.call('EXISTS', KEYS[2]) == 0 then
  return 'full'
end

local at = 8
local function put(key, count)
  for i = 1, count do
    redis.call('HSET', key, ARGV[at], ARGV[at + 1])
    at = at + 2
  end
end

put(KEYS[1], tonumber(ARGV[5]))
put(KEYS[2], tonumber(ARGV[6]))
redis.call('DEL', KEYS[3])
put(KEYS[3], tonumber(ARGV[7]))
local version = redis.call('HINCRBY', KEYS[1], 'version', 1)
redis.call('PUBLISH', ARGV[4], tostring(version))
return 'saved'
