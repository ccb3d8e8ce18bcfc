// Run on a machine: a node of npm's bittorrent-dht (IPv4 only).
// Usage: node dhtnode.mjs PATH_OF_THE_PACKAGE ADDRESS PORT [BOOTSTRAP]; prints a line when it listens.
import { pathToFileURL } from 'node:url'

const [path, host, port, bootstrap] = process.argv.slice(2)
const { Client } = await import(pathToFileURL(path))
const node = new Client({ bootstrap: bootstrap ? [bootstrap] : false, host })
node.on('error', error => { console.error(error); process.exit(1) })
node.on('warning', () => {})
node.listen(Number(port), host, () => console.log('listens'))
