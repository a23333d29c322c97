// Writes what the npm package double-metaphone makes of the CMU dictionary's
// words, of phrases and of made-up words: the values that package phoneme's
// tests hold DoubleMetaphone to. Run it once, when one of the packages moves:
//
//   npm install --ignore-scripts --prefix DIR double-metaphone@2.0.1 cmu-pronouncing-dictionary@3.0.0
//   node scripts/double-metaphone-reference.mjs DIR phoneme/testdata/double-metaphone.tsv.gz
//
// A line holds text, primary code and, where it differs, secondary code,
// separated by tabs.
import {writeFileSync} from 'node:fs'
import path from 'node:path'
import {pathToFileURL} from 'node:url'
import {gzipSync} from 'node:zlib'

const [dir, file] = process.argv.slice(2)
const load = (name) => import(pathToFileURL(path.resolve(dir, 'node_modules', name, 'index.js')))
const {doubleMetaphone} = await load('double-metaphone')
const {dictionary} = await load('cmu-pronouncing-dictionary')

// The dictionary numbers a word's further pronunciations: "alexa(2)".
const words = [...new Set(Object.keys(dictionary).map((key) => key.replace(/\(\d+\)$/, '')))].sort()

// A generator of its own, so that the same numbers come out everywhere.
let state = 1
function random(n) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0
  return Math.floor((state / 2 ** 32) * n)
}
const pick = (list) => list[random(list.length)]
const times = (n, make) => Array.from({length: n}, make)

const phrases = [
  ...times(3000, () => pick(words) + ' ' + pick(words)),
  ...['hey ', 'ok ', 'van ', 'von ', 'san ', 'jose ', 'mac ', 'mc', 'sch'].flatMap((beginning) =>
    times(200, () => beginning + pick(words)),
  ),
]

// Letters in orders that no word of the dictionary has, and the letter groups
// that Double Metaphone is known to look for.
const alphabet = [...'abcdefghijklmnopqrstuvwxyz']
const groups = `ach acher aggi alle archit arys as au augh bacher bh cae caesar cc ce cg chae chem chia chor chym cia cie cio ck
  cq cz danger dge dt eau edge enough er ewski ey ge gg gh ghi gier gn harac heim hoek holm holz iau ie illa illo isl jj jose
  kn laugh ll macher manger mb mm ngy oggi ogy orches orchid os owsky ph pn ps qu ranger rgy sc sch schoo sh sia sian sio
  sugar sz tch tham thom tia tion tth ucces ugh umb umber wh wicz witz wr x ysl zh zo zz`.split(/\s+/)
const madeUp = times(8000, () => times(1 + random(5), () => pick(random(2) ? alphabet : groups)).join(''))

const accented = ['curaçao', 'façade', 'François', 'garçon', 'jalapeño', 'mañana', 'piñata', 'señor']

const lines = [...words, ...phrases, ...madeUp, ...accented].map((text) => {
  const [primary, secondary] = doubleMetaphone(text)
  return [text, primary, ...(secondary === primary ? [] : [secondary])].join('\t') + '\n'
})
writeFileSync(file, gzipSync(lines.join(''), {level: 9}))
