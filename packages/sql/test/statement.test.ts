import { expect, test } from 'vitest'
import { readStatement, readWrites } from '../src/statement.ts'

test.each([
  ['select 1', { type: 'read' }],
  ['  SELECT * from t for update', { type: 'read' }],
  ['(select 1) union (select 2)', { type: 'read' }],
  ['begin', { type: 'begin' }],
  ['BEGIN IMMEDIATE', { type: 'begin' }],
  ['start transaction isolation level serializable', { type: 'begin' }],
  ['start replica', { type: 'other' }],
  ['set transaction isolation level read committed', { type: 'other' }],
  ['commit', { type: 'commit' }],
  ['COMMIT;', { type: 'commit' }],
  ['end', { type: 'commit' }],
  ['rollback', { type: 'rollback' }],
  ['rollback to savepoint "trx1"', { type: 'rollbackTo', name: 'trx1' }],
  ['ROLLBACK WORK TO `a b`;', { type: 'rollbackTo', name: 'a b' }],
  ['savepoint trx1', { type: 'savepoint', name: 'trx1' }],
  ['release savepoint "trx1"', { type: 'release', name: 'trx1' }],
  ['release trx1', { type: 'release', name: 'trx1' }],
  ['create table t (id int)', { type: 'definition' }],
  ['-- a comment\n/* and another */ update t set a = 1', { type: 'write' }],
  ['with x as (select 1) select * from x', { type: 'write' }],
  ['pragma foreign_keys = on', { type: 'other' }],
  ['', { type: 'other' }],
])('%s', (sql, expected) => {
  expect(readStatement(sql)).toEqual(expected)
})

const isTable = (name: string): boolean => ['task', 'comment', 'user'].includes(name)
const writes = (sql: string) => readWrites(sql, isTable).map(({ verb, tables }) => [verb, ...tables].join(' '))

test.each([
  ['insert into "task" ("title") values (\'x\')', ['insert task']],
  ['insert or replace into task select * from comment', ['insert task']],
  ['INSERT IGNORE INTO `board`.`task` (a) VALUES (1) ON DUPLICATE KEY UPDATE a = 2', ['insert task']],
  ['insert into task (id) values (1) on conflict (id) do update set id = 2', ['insert task']],
  ['replace into task values (1)', ['replace task']],
  ['update only "public"."task" set title = (select name from user)', ['update task']],
  ['update task t join user u on u.id = t.id set u.name = 1', ['update task user']],
  ['delete from task where id in (select task_id from comment)', ['delete task']],
  ['delete task, comment from task join comment', ['delete task comment']],
  ['truncate table task, comment restart identity', ['truncate task comment']],
  ['merge into task using user on true when matched then update set a = 1', ['merge task']],
  ['with gone as (delete from comment returning *) update task set a = 1', ['delete comment', 'update task']],
  ['with a as (select 1), b as (\n  insert into user (name) select 1 from a\n) select * from b', ['insert user']],
  ['update task set a = 1; delete from user', ['update task', 'delete user']],
  ["update task set title = 'it''s; delete from user'", ['update task']],
  ["update task set title = 'a\\'; delete from user'", ['update task']],
  ['select * from task for update', []],
  ['with a as (select * from task for update of task) select * from a', []],
  ['update unknown set a = 1', ['update']],
  ['call do_it()', ['call']],
  ['execute prepared (1)', ['execute']],
  ['do $$ begin delete from task; end $$', ['do']],
  ['update task set price = (truncate(price, 2)), title = (replace(title, 1, 2))', ['update task', 'replace']],
])('%s', (sql, expected) => {
  expect(writes(sql)).toEqual(expected)
})
