import { describe, expect, it } from 'vitest'
import { isEtlError } from '../../src/errors.js'
import { sqlResult } from '../../src/infino/sql-rows.js'
import { parseJson } from '../../src/json.js'

const decode = (text: string) => sqlResult(parseJson(text))

describe('rows of a SQL answer', () => {
  it('come out of typed values, in the order of the columns, with integers exact', () => {
    const { rows, columns } =
      decode(`{"has_joins":false,"execution_time":3,"statement_type":"Select","affected_rows":0,
      "columns":[{"alias":null,"name":{"Column":{"name":"product","table_identifier":null}},"data_type":"String"},
                 {"alias":"n","name":{"Column":{"name":"id","table_identifier":null}},"data_type":"Integer"},
                 {"alias":null,"name":{"Column":{"name":"tags"}},"data_type":"Array"}],
      "rows":[{"values":{"n":{"Integer":9007199254740993},"product":{"String":"laptop"},"tags":{"Array":[{"String":"a"},{"Null":null}]}}},
              {"values":{"product":{"Null":null},"n":null,"tags":"Null"}}],
      "error_message":null}`)
    expect(columns).toEqual(['product', 'n', 'tags'])
    expect(Object.keys(rows[0]!)).toEqual(['product', 'n', 'tags'])
    expect(rows).toEqual([
      { product: 'laptop', n: 9007199254740993n, tags: ['a', null] },
      { product: null, n: null, tags: null },
    ])
  })

  it('come out of arrays, in both spellings', () => {
    const arrays = decode(
      '{"columns":[{"name":"a","type":"Integer"},{"name":"b"}],"rows":[[1,"x"],[2,null]],"total":2}',
    )
    expect(arrays.rows).toEqual([
      { a: 1, b: 'x' },
      { a: 2, b: null },
    ])
    const jdbc = decode(
      '{"schema":[{"name":"a","alias":"first","type":"long"}],"datarows":[[12345678901234567890]],"status":200}',
    )
    expect(jdbc.rows).toEqual([{ first: 12345678901234567890n }])
  })

  it('come as they are where they are plain objects, with or without a wrapping', () => {
    for (const text of ['[{"a":1,"values":{"B":2}}]', '{"rows":[{"a":1,"values":{"B":2}}]}'])
      expect(decode(text).rows).toEqual([{ a: 1, values: { B: 2 } }])
  })

  it('keep columns of one name apart, and __proto__ a column', () => {
    const { rows, columns } = decode('{"columns":["a","a","a_2","__proto__"],"rows":[[1,2,3,4]]}')
    expect(columns).toEqual(['a', 'a_3', 'a_2', '__proto__'])
    expect(JSON.stringify(rows[0])).toBe('{"a":1,"a_3":2,"a_2":3,"__proto__":4}')
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
  })

  it('are none for a writing statement, which tells what it changed', () => {
    const reply = '{"statement_type":"Insert","affected_rows":1,"columns":[],"rows":[],"error_message":""}'
    expect(decode(reply)).toEqual({ rows: [], columns: [], affectedRows: 1 })
  })

  it('are an error where the answer reports one, or is none', () => {
    const codeOf = (text: string) => {
      try {
        decode(text)
      } catch (error) {
        return isEtlError(error) ? error.code : error
      }
      return undefined
    }
    expect(codeOf('{"rows":[],"columns":[],"error_message":"no such table"}')).toBe('ETL_INFINO_SQL')
    expect(codeOf('{"error":{"type":"a","reason":"b","details":"c"},"status":400}')).toBe('ETL_INFINO_SQL')
    for (const text of ['7', '{}', '{"rows":5}', '[1]', '{"columns":["a"],"rows":[[1,2]]}'])
      expect(codeOf(text)).toBe('ETL_INFINO_REPLY_UNREADABLE')
  })
})
