import { describe, expect, it } from 'vitest'
import { csvDecoder } from '../../src/codecs/csv.js'
import { type CsvLayoutOptions, layoutOf, sampleCsv } from '../../src/codecs/csv-layout.js'
import type { Decoder, DecoderSetup, ResumePoint } from '../../src/codecs/decoder.js'
import { jsonArrayDecoder } from '../../src/codecs/json-array.js'
import { jsonlDecoder } from '../../src/codecs/jsonl.js'
import { collect, pieces, splitsOf, utf8 } from './decoding.js'

type Make = (setup: DecoderSetup) => Decoder

function csv(text: string, options: CsvLayoutOptions & { ragged?: 'fill'; strict?: boolean } = {}): Make {
  const layout = layoutOf(sampleCsv(utf8(text), true, 'x.csv', options), 'x.csv', options.types)
  return (setup) => csvDecoder({ ...setup, layout, ragged: options.ragged, strict: options.strict })
}

const csvTexts: [string, string, (CsvLayoutOptions & { ragged?: 'fill'; strict?: boolean })?][] = [
  ['plain', 'a,b\n1,2\n3,4\n'],
  ['no last line break', 'a,b\n1,2\n3,4'],
  ['CRLF, also inside quotes', 'a,b\r\n1,"x\r\ny"\r\n3,"4"\r\n'],
  ['CR alone', 'a,b\r1,2\r3,4'],
  ['mixed line ends', 'a,b\n1,2\r\n3,4\n5,6\r\n'],
  ['quotes in quotes', 'a,b\n"he said ""hi""","""\n""",\n"",""""\n'],
  ['a quote inside an unquoted cell', 'a,b\n5" pipe,37\'37.8"N\n'],
  ['delimiters in quotes', 'a;b\n"1;2";3\n;\n'],
  ['blank lines', '\n\na,b\n\n1,2\n\r\n\n3,4\n\n'],
  ['one column, where an empty line is a row', 'a\n1\n\n2\n""\n'],
  ['multibyte characters', 'naïve,日本\n😀,"é\n𝄞"\nü,ß\n'],
  ['ragged rows', 'a,b,c\n1,2\n1,2,3,4\n1,2,3\n,\n'],
  ['ragged rows, filled', 'a,b,c\n1,2\n1,2,3,4\n1,2,3\n', { ragged: 'fill' }],
  ['header only', 'a,b,c\n'],
  ['no header', '1,2\n3,4\n', { header: false }],
  ['comments', '# hello\na,b\n# "x\n1,2\n#3,4\n"#5",6\n', { comment: '#' }],
  ['another escape', 'a,b\n"x\\"y","\\\\"\n"","z"\n', { escape: '\\' }],
  ['no quotes', 'a,b\n"1,2"\n"",x\n', { quote: null }],
  ['long delimiter', 'a::b\n1::"2::3"\n""::\n', { delimiter: '::' }],
  ['NUL and control characters', 'a,b\n\u0000,\u0001\n\t,\u001f\n'],
  ['strange names', '__proto__,,a,a,constructor\n1,2,3,4,5\n"",,x,y,\n'],
  ['unclosed quote', 'a,b\n1,2\n3,"4\n5,6\n7,8\n'],
  ['text after a closing quote', 'a,b\n1,2\n"x"y,2\n5,6\n'],
  ['strict types', 'a,b\n1,x\ny,2\n3,z\n', { types: { a: 'bigint' }, strict: true }],
  ['a row over the limit', `a,b\n1,2\n"${'x'.repeat(300)}",2\n3,4\n`],
]

const jsonlTexts: [string, string][] = [
  ['plain', '{"a":1}\n{"a":2}\n'],
  ['no last line break', '{"a":1}\n{"a":2}'],
  ['CRLF and blank lines', '\r\n{"a":1}\r\n\n  \n{"a":2}\r\n\t\r\n'],
  ['space around', '  {"a":1}\t\n {"a":[1,{"b":2}]} '],
  ['no objects', '1\nnull\n"x"\n[1]\n{"a":1}\ntrue\n-2.5e3\n'],
  ['broken lines', '{"a":}\n{"a":1\n{"a":1}}\n{a:1}\n{"a":01}\n{"a":"\\x"}\n{"ok":true}\n{'],
  ['big integers', '{"a":9007199254740993,"b":-18446744073709551615,"c":1.5}\n'],
  ['multibyte and separators', '{"é":"\u2028日本😀"}\n{"a":"\\u0000"}\n'],
  ['__proto__', '{"__proto__":{"x":1},"a":1}\n'],
  ['two documents on one line', '{"a":1}{"a":2}\n{"b":1}\n'],
  ['a line over the limit', `{"a":1}\n{"b":"${'x'.repeat(400)}"}\n{"a":2}\n`],
  ['a last line over the limit', `{"a":1}\n{"b":"${'x'.repeat(400)}`],
]

const jsonTexts: [string, string, string[]?][] = [
  ['plain', '[{"a":1},{"a":2}]'],
  ['pretty', '\n[\n  {\n    "a": 1\n  } ,\n  {"b": [1, {"c": "}]"}]}\n]\n'],
  ['empty', ' [ ] '],
  ['no objects', '[1, "x,]}", null, [1,[2]], {"a":1}, true, -2.5e-3 , {} ]'],
  ['big integers', '[{"a":9007199254740993,"b":[-18446744073709551615,1.5]}]'],
  ['strings', '[{"a":"\\"}],[{\\\\"},{"é":"日本😀\\ud83d\\ude00"}]'],
  ['__proto__', '[{"__proto__":{"x":1},"a":1}]'],
  [
    'path',
    '{"meta":{"data":[9]},"x":[1],"data":{"items":[{"a":1},{"a":2}],"more":[{"a":3}]},"z":1}',
    ['data', 'items'],
  ],
  ['path not there', '{"data":{"x":1}}', ['data', 'items']],
  ['path to an object', '{"data":{"rows":[{"a":1}],"n":1}}', ['data']],
  ['top object', '{"type":"x","box":[1,2],"nodes":[{"a":1}],"links":[]}'],
  ['top scalar', '"hello"'],
  ['lines instead of an array', '{"a":1}\n{"a":2}\n'],
  ['cut short', '[{"a":1},{"b":'],
  ['cut after a comma', '[{"a":1},'],
  ['broken element', '[{"a":1},\n{"b":1 "c":2},{"d":1}]'],
  ['missing comma', '[{"a":1} {"b":2}]'],
  ['two commas', '[{"a":1},,{"b":2}]'],
  ['comma at the end', '[{"a":1},]'],
  ['text behind', '[{"a":1}] x'],
  ['empty input', ''],
  ['white space', ' \n '],
  ['no JSON', '<html><body>, no</body></html>'],
  ['an element over the limit', `[{"a":1},{"b":"${'x,}]'.repeat(100)}"},{"a":2}]`],
]

const cases: [string, string, Make][] = [
  ...csvTexts.map(([name, text, options]): [string, string, Make] => [
    `csv: ${name}`,
    text,
    csv(text, options),
  ]),
  ...jsonlTexts.map(([name, text]): [string, string, Make] => [`jsonl: ${name}`, text, jsonlDecoder]),
  ...jsonlTexts.map(([name, text]): [string, string, Make] => [
    `jsonl as text: ${name}`,
    text
      .replaceAll('{"a":}', '')
      .replaceAll('{a:1}', '')
      .replaceAll(/\{"a":(?:1\}\}|01\}|"\\x"\})/g, '')
      .replaceAll('{"a":1}{', ''),
    (setup) => jsonlDecoder({ ...setup, form: 'any' }),
  ]),
  ...jsonTexts.map(([name, text, path]): [string, string, Make] => [
    `json: ${name}`,
    text,
    (setup) => jsonArrayDecoder({ ...setup, path }),
  ]),
]

const limit = { maxRowBytes: 256, file: 'x' }

describe('decoders', () => {
  it.each(cases)('%s: the pieces the bytes come in change nothing', (_name, text, make) => {
    const bytes = utf8(text)
    const whole = collect(make(limit), [bytes])
    for (const cuts of splitsOf(bytes.length)) {
      expect(collect(make(limit), pieces(bytes, cuts)), `cut at ${cuts}`).toEqual(whole)
    }
  })

  it.each(cases)('%s: reading on from any resume point gives the rest', (_name, text, make) => {
    const bytes = utf8(text)
    const whole = collect(make(limit), [bytes])
    const points: [ResumePoint, number, number][] = []
    collect(make(limit), pieces(bytes, undefined), (point, rows, rejected) =>
      points.push([point, rows, rejected]),
    )
    for (const [resume, rows, rejected] of points) {
      const rest = collect(make({ ...limit, resume }), [bytes.subarray(resume.byte)])
      expect(rest, `from ${JSON.stringify(resume)}`).toEqual({
        ...whole,
        rows: whole.rows.slice(rows),
        positions: whole.positions.slice(rows),
        rejected: whole.rejected.slice(rejected),
      })
    }
  })
})
