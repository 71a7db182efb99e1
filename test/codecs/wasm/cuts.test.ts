import { beforeAll, describe, expect, it } from 'vitest'
import { csvPackageDecoder } from '../../../src/codecs/csv.js'
import { type CsvLayoutOptions, layoutOf, sampleCsv } from '../../../src/codecs/csv-layout.js'
import type { Decoder, DecoderSetup } from '../../../src/codecs/decoder.js'
import { jsonArrayDecoder } from '../../../src/codecs/json-array.js'
import { csvByteDecoder } from '../../../src/codecs/wasm/csv.js'
import { jsonArrayByteDecoder } from '../../../src/codecs/wasm/json.js'
import { collect, pieces, splitsOf, utf8 } from '../decoding.js'
import { builtLane, counting, say } from './lane.js'

type Make = (setup: DecoderSetup) => Decoder
interface Case {
  readonly name: string
  readonly text: string
  readonly lane: Make
  readonly oracle: Make
  readonly drift?: Map<string, number>[]
}
type CsvOptions = CsvLayoutOptions & { ragged?: 'fill'; strict?: boolean }

function csv(name: string, text: string, options: CsvOptions = {}): Case {
  const layout = layoutOf(sampleCsv(utf8(text), true, 'x.csv', options), 'x.csv', options.types)
  const { ragged, strict } = options
  return {
    name: `csv: ${name}`,
    text,
    lane: (setup) => csvByteDecoder({ ...setup, layout, ragged, strict }),
    oracle: (setup) => csvPackageDecoder({ ...setup, layout, ragged, strict }),
  }
}

function json(name: string, text: string, path?: string[]): Case {
  return {
    name: `json: ${name}`,
    text,
    lane: (setup) => jsonArrayByteDecoder({ ...setup, path }),
    oracle: (setup) => jsonArrayDecoder({ ...setup, path }),
  }
}

const numbers = [
  ...['0', '-0', '1', '-1', '9', '10', '12345678901234', '123456789012345', '-123456789012345'],
  ...['1234567890123456', '9007199254740991', '9007199254740992', '9007199254740993', '-9007199254740993'],
  ...['9223372036854775807', '9223372036854775808', '-9223372036854775808', '-9223372036854775809'],
  ...['18446744073709551616', '99999999999999999999', '01', '-01', '00', '+1', '1.', '.5', '-.5', '-', '1a'],
  ...['1.5', '-1.5', '0.5', '-0.0', '0.000', '1.50', '12.345678901', '1234567890123.5', '12345678901234.5'],
  ...['123456789012345.6', '1e5', '1E5', '1e+5', '1e-5', '1.5e3', '1e', '1e+', '1.e5', '1e400', '-1e400'],
  ...['1e308', '1e309', '1.7976931348623157e308', '1e-400', '0e-400', '5e-324', '1e-324', '0.0e999', '1e201'],
  ...[`0.${'0'.repeat(61)}1`, `0.${'0'.repeat(62)}1`, `1${'0'.repeat(63)}`, `${'1'.repeat(30)}.5`, '1e00005'],
  ...['1 ', ' 1', '1\t', '٣', 'NaN', 'Infinity', '0x10', '1_000', '1e5.5', '--1', '1-', '0-0'],
]
const moments = [
  ...['2020-02-29', '2021-02-29', '1900-02-29', '2000-02-29', '0000-02-29', '2020-12-31', '2020-04-31'],
  ...['2020-00-01', '2020-13-01', '2020-01-00', '2020-01-32', '2020-1-01', '2020/01/01', '2020-01-01 '],
  ...[
    '2020-01-01T10:20',
    '2020-01-01 10:20:30',
    '2020-01-01T24:00',
    '2020-01-01T23:60',
    '2020-01-01T23:59:60',
  ],
  ...['2020-01-01T10:20:30.1', '2020-01-01T10:20:30.123456789', '2020-01-01T10:20:30.1234567890'],
  ...['2020-01-01T10:20Z', '2020-01-01T10:20:30+01:00', '2020-01-01T10:20:30-0100', '2020-01-01T10:20:30+01'],
  ...['2020-01-01T10:20:30.Z', '2020-01-01T10:20:30Zx', '2020-01-01T10:20:30+99:99', '2020-01-01T1:20'],
  ...['2020-01-01t10:20', '2020-01-01T10:20:30.5+01:0', '2020-01-01T10:2', '2020-02-30T10:20', '20200101'],
]
const booleans = [
  'true',
  'True',
  'TRUE',
  'false',
  'False',
  'FALSE',
  'tRUE',
  'yes',
  '0',
  'truee',
  'fals',
  'FaLSE',
]
const typed = (type: string, cells: string[]): CsvOptions & { body: string } => ({
  types: { a: type as 'string', b: type as 'string' },
  body: `a,b\n${cells.map((cell) => `${cell},"${cell}"\n"${cell}""",${cell}\r\n`).join('')}`,
})

const cases: Case[] = [
  csv('plain', 'a,b\n1,2\n3,4\n'),
  csv('no last line break', 'a,b\n1,2\n3,4'),
  csv('a lone CR at the end', 'a,b\n1,2\n3,4\r'),
  csv('a lone CR behind a quote', 'a,b\n1,2\n3,"4"\r'),
  csv('an empty last cell', 'a,b\n1,\n,\n1,'),
  csv('CRLF, also inside quotes', 'a,b\r\n1,"x\r\ny"\r\n3,"4"\r\n,\r\n'),
  csv('CR alone', 'a,b\r1,2\r3,4'),
  csv('mixed line ends', 'a,b\n1,2\r\n3,4\n5,6\r\n7\r,8\r\r\n'),
  csv('quotes in quotes', 'a,b\n"he said ""hi""","""\n""",\n"",""""\n'),
  csv('a quote inside an unquoted cell', 'a,b\n5" pipe,37\'37.8"N\n'),
  csv('another quote', "a,b\n'x''y\"z',\"q\"\n'',''''\n", { quote: "'" }),
  csv('a quote as delimiter', `a"b\n1"2\n'x"y'"\\\n`, { delimiter: '"', quote: "'" }),
  csv('a backslash as quote', 'a,b\n\\x\\\\y\\,"\n', { quote: '\\' }),
  csv('a backslash as delimiter', 'a\\b\n1\\"x\\y"\n', { delimiter: '\\' }),
  csv('delimiters in quotes', 'a;b\n"1;2";3\n;\n', { delimiter: ';' }),
  csv('tabs', 'a\tb\n1\t2\n"x\ty"\t\n\t\n', { delimiter: '\t' }),
  csv('a delimiter beyond ASCII', 'aéb\n1é2\n', { delimiter: 'é' }),
  csv('blank lines', '\n\na,b\n\n1,2\n\r\n\n3,4\n\n'),
  csv('one column, where an empty line is a row', 'a\n1\n\n2\n""\n\r\n3'),
  csv('blank lines before a header with one column', '\n\r\n\na\n\n1\n'),
  csv('multibyte characters', 'naïve,日本\n😀,"é\n𝄞"\nü,ß\n'),
  csv('ragged rows', 'a,b,c\n1,2\n1,2,3,4\n1,2,3\n,\n"x\ny"\n4,5,6\n"a""b",\n7,8,9\n1'),
  csv('only ragged rows', 'a,b,c\n1,2\n1,2,3,4\n1'),
  csv('ragged rows, filled', 'a,b,c\n1,2\n1,2,3,4\n1,2,3\n1', { ragged: 'fill' }),
  csv('many surplus cells, filled', `a,column_3\n1,2${',x'.repeat(40)}\n1,2\n3\n`, { ragged: 'fill' }),
  csv('header only', 'a,b,c\n'),
  csv('header only, without a line break', 'a,b,c'),
  csv('a header with line breaks', '"a\nb","c\r\n""d"""\n1,2\n'),
  csv('no header', '1,2\n3,4\n', { header: false }),
  csv('comments', '# hello\na,b\n# "x\n1,2\n#3,4\n"#5",6\n', { comment: '#' }),
  csv('another escape', 'a,b\n"x\\"y","\\\\"\n"","z"\n', { escape: '\\' }),
  csv('no quotes', 'a,b\n"1,2"\n"",x\n', { quote: null }),
  csv('long delimiter', 'a::b\n1::"2::3"\n""::\n', { delimiter: '::' }),
  csv('NUL and control characters', 'a,b\n\u0000,\u0001\n\t,\u001f\n"\u0000","\u007f\u0008\u000c"\n'),
  csv('NUL behind a closing quote', 'a,b\n"x"\u0000,1\n2,3\n'),
  csv('strange names', '__proto__,,a,a,constructor\n1,2,3,4,5\n"",,x,y,\n'),
  csv('long names', `${'n'.repeat(40)},"b ""\\ \nx"\n1,2\n`),
  csv('unclosed quote', 'a,b\n1,2\n3,"4\n5,6\n7,8\n'),
  csv('unclosed quote in the header', 'a,"b\n1,2\n3,4'),
  csv('text after a closing quote', 'a,b\n1,2\n"x"y,2\n5,6\n'),
  csv('a lone CR after a closing quote', 'a,b\n1,2\n"x"\ry,2\n5,6\n'),
  csv('text after a closing quote in a ragged row', 'a,b\n1,2\n1,2,3,"x"y\n5,6\n'),
  csv('text after a closing quote in the header', '"a"x,b\n1,2\n'),
  csv('strict types', 'a,b\n1,x\ny,2\n3,z\n"4",\n,5\n', { types: { a: 'bigint' }, strict: true }),
  csv('strict types and ragged rows', 'a,b\nx,1,2\n1,2\nx\ny,"\n"\n', {
    types: { a: 'bigint' },
    strict: true,
  }),
  csv('a row over the limit', `a,b\n1,2\n"${'x'.repeat(300)}",2\n3,4\n`),
  csv('an unclosed quote over the limit', `a,b\n1,2\n"${'x\n'.repeat(200)}`),
  csv('a ragged row over the limit', `a,b\n1,2\n1,2,${'x'.repeat(300)}\n3,4\n`),
  ...['bigint', 'double'].map((type) => {
    const { body, ...options } = typed(type, numbers)
    return csv(`cells of type ${type}`, body, options)
  }),
  ...['date', 'timestamp'].map((type) => {
    const { body, ...options } = typed(type, moments)
    return csv(`cells of type ${type}`, body, options)
  }),
  (({ body, ...options }) => csv('cells of type boolean', body, options))(typed('boolean', booleans)),

  json('plain', '[{"a":1},{"a":2}]'),
  json('pretty', '\n[\n  {\n    "a": 1\n  } ,\n  {"b": [1, {"c": "}]"}]}\n]\n'),
  json('pretty with CRLF and tabs', '[\r\n\t{\r\n\t\t"a" : [ ] ,\r\n\t\t"b" : { }\r\n\t}\r\n\t,\r\n{}\r\n]'),
  json('empty', ' [ ] '),
  json('no objects', '[1, "x,]}", null, [1,[2]], {"a":1}, true, -2.5e-3 , {} ]'),
  json('big integers', '[{"a":9007199254740993,"b":[-18446744073709551615,1.5]}]'),
  json('numbers', '[{"a":[0,-0,-1,1.5,-0.5e+10,1E5,1e400,0.0]},{"a":-0}]'),
  json('words', '[{"a":true,"b":false,"c":null,"d":[true,false,null]}]'),
  json(
    'strings',
    '[{"a":"\\"}],[{\\\\"},{"é":"日本😀\\ud83d\\ude00\\u2028"},{"a":"\\/\\b\\f\\n\\r\\t\u007f"}]',
  ),
  json(
    'long strings',
    `[{"a":"${'x'.repeat(33)}\\n${'é'.repeat(17)}"},{"${'k'.repeat(40)}":"${'"'.replace('"', '\\"').repeat(20)}"}]`,
  ),
  json('__proto__', '[{"__proto__":{"x":1},"a":1}]'),
  json('a key twice', '[{"a":1,"a":2}]'),
  json('path', '{"meta":{"data":[9]},"x":[1],"data":{"items":[{"a":1},{"a":2}],"more":[{"a":3}]},"z":1}', [
    'data',
    'items',
  ]),
  json('path, broken behind', '{"data":[{"a":1},{"a":2}],"more":[{"a":3}}', ['data']),
  json('path not there', '{"data":{"x":1}}', ['data', 'items']),
  json('path to an object', '{"data":{"rows":[{"a":1}],"n":1}}', ['data']),
  json('top object', '{"type":"x","box":[1,2],"nodes":[{"a":1}],"links":[]}'),
  json('top scalar', '"hello"'),
  json('lines instead of an array', '{"a":1}\n{"a":2}\n'),
  json('cut short', '[{"a":1},{"b":'),
  json('cut short in a word', '[{"a":1},{"b":tru'),
  json('cut after a comma', '[{"a":1},'),
  json('cut after an element', '[{"a":1}'),
  json('missing comma', '[{"a":1} {"b":2}]'),
  json('two commas', '[{"a":1},,{"b":2}]'),
  json('comma first', '[,{"a":1}]'),
  json('comma at the end', '[{"a":1},]'),
  json('text behind', '[{"a":1}] x'),
  json('two arrays', '[{"a":1}] [{"a":2}]'),
  json('empty input', ''),
  json('white space', ' \n '),
  json('no JSON', '<html><body>, no</body></html>'),
  json('an element over the limit', `[{"a":1},{"b":"${'x,}]'.repeat(100)}"},{"a":2}]`),
  json('too deep', `[{"a":1},{"a":${'['.repeat(60)}${']'.repeat(60)}},{"a":2}]`),
  ...[
    ...[
      '{"b":1 "c":2}',
      '{"b" 1}',
      '{b:1}',
      '{"b":}',
      '{"b":1,}',
      '{,}',
      '{"b":1]',
      '{"b":[1}',
      '{"b":[1,]}',
    ],
    ...['{"b":[,1]}', '{"b":01}', '{"b":1.}', '{"b":.5}', '{"b":+1}', '{"b":1e}', '{"b":-}', '{"b":tru}'],
    ...[
      '{"b":nul}',
      '{"b":truex}',
      '{"b":True}',
      '{"b":"\\x"}',
      '{"b":"\\u12g4"}',
      '{"b":"\n"}',
      '{"b":"\t"}',
    ],
    ...['{"b":"\u0000"}', "{'b':1}", '{"b":1}}', '{"b":{}', '{"b":1;}', '{"b"::1}', '{1:2}', '{"b":\u00a01}'],
    ...['{"b":\u000b1}', '{"b":1}x', '{"a":"\\ud800"}'],
  ].map((element) => json(`an element ${JSON.stringify(element)}`, `[{"a":1},\n${element},{"d":1}]`)),
]

const limit = { maxRowBytes: 256, file: 'x' }

describe('the byte lane', () => {
  beforeAll(builtLane, 60_000)

  it.each(cases.map((one) => [one.name, one] as const))('%s', (_name, { text, lane, oracle }) => {
    const bytes = utf8(text)
    const expected = say(oracle(limit), bytes, undefined)
    const resumes = new Map(expected.points.map((point) => [point.resume.byte, point]))
    const restAfter = (rows: number, rejected: number) => ({
      ...expected.said,
      rows: expected.said.rows.slice(rows),
      positions: expected.said.positions.slice(rows),
      rejected: expected.said.rejected.slice(rejected),
    })
    const cutsOf = text.length > 1500 ? [undefined, [], [700], [701, 702]] : [[], ...splitsOf(bytes.length)]
    for (const cuts of cutsOf) {
      const { said, points } = say(counting(lane(limit)).decoder, bytes, cuts)
      expect(said, `cut at ${cuts}`).toEqual(expected.said)
      for (const point of points) {
        const known = resumes.get(point.resume.byte)
        if (known !== undefined) expect(point, `cut at ${cuts}`).toEqual(known)
        else {
          // csv-parse looks ahead, so it does not tell all the points it could go on from.
          resumes.set(point.resume.byte, point)
          const rest = collect(oracle({ ...limit, resume: point.resume }), [
            bytes.subarray(point.resume.byte),
          ])
          expect(rest, `cut at ${cuts}`).toEqual(restAfter(point.rows, point.rejected))
        }
      }
    }
    for (const { resume, rows, rejected } of expected.points) {
      const rest = collect(lane({ ...limit, resume }), pieces(bytes.subarray(resume.byte), []))
      expect(rest, `from ${JSON.stringify(resume)}`).toEqual(restAfter(rows, rejected))
    }
  })
})
