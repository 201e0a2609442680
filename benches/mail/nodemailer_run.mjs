// Sends mails of a size through nodemailer's pool: node nodemailer_run.mjs PORT MAILS CONNECTIONS TEXT.html TEXT.txt
import { readFileSync } from 'node:fs'
import nodemailer from 'nodemailer'

const [port, mails, connections] = process.argv.slice(2, 5).map(Number)
const [html, text] = process.argv.slice(5, 7).map((file) => readFileSync(file, 'utf8'))
const pdf = Buffer.from(Array.from({ length: 40_000 }, (_, index) => (index * 167) & 255))
const transport = nodemailer.createTransport({
  host: '127.0.0.1', port, secure: false, ignoreTLS: true, pool: true, maxConnections: connections, maxMessages: Infinity,
})
const began = process.hrtime.bigint()
let next = 0
const sender = async () => {
  while (next < mails) {
    const number = next++
    await transport.sendMail({
      from: '"Nubes del Sur, S.L." <facturas@nubes.example>', to: '"Ana Muñoz" <ana@panaderia.example>',
      messageId: `<${number}@billing.example.com>`, subject: `Factura 2026-${number}`, text, html,
      attachments: [{ filename: 'factura-2026-00042.pdf', content: pdf, contentType: 'application/pdf' }],
    })
  }
}
await Promise.all(Array.from({ length: connections }, sender))
console.log(Number(process.hrtime.bigint() - began) / 1e9)
transport.close()
