// Looks at a print page in headless Chromium: pictures of it in light and dark, its print with a section folded, and what
// axe-core says of all three. Run by bin/screenshots: node look.mjs PAGE FOLDER
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const require = createRequire(join(process.env.MODULES, 'x.js'))
const { chromium } = require('playwright-core')
const [file, folder] = process.argv.slice(2)
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8')
const problems = []

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox'] })
for (const colorScheme of ['light', 'dark']) {
  for (const width of [1000, 380]) {
    const page = await browser.newPage({ colorScheme, viewport: { width, height: 1250 } })
    page.on('console', message => message.type() === 'error' && problems.push(message.text()))
    page.on('request', request => request.url().startsWith('file:') || problems.push(`it loads ${request.url()}`))
    await page.goto(`file://${file}`)
    await look(page, `${colorScheme}, ${width} wide`)
    if (width === 1000) await page.screenshot({ path: `${folder}/${colorScheme}.png` })
    if (width === 380) {
      const wider = await page.evaluate('document.documentElement.scrollWidth > innerWidth')
      if (wider) problems.push('a telephone has to scroll sideways')
    }
    await page.close()
  }
}

const page = await browser.newPage({ colorScheme: 'dark' })
await page.goto(`file://${file}`)
await page.locator('summary').first().click()
if (await page.locator('details').first().getAttribute('open') !== null) problems.push('a section does not fold')
await page.emulateMedia({ media: 'print', colorScheme: 'dark' })
const shown = await page.locator('details table').evaluateAll(tables => tables.every(table => table.offsetHeight > 0))
if (!shown) problems.push('a folded section is not on paper')
const colors = await page.evaluate(
  "getComputedStyle(document.body).color + ' on ' + getComputedStyle(document.body).backgroundColor")
if (colors !== 'rgb(0, 0, 0) on rgb(255, 255, 255)') problems.push(`paper is ${colors}`)
await look(page, 'print')
await page.pdf({ path: `${folder}/print.pdf`, format: 'A4', preferCSSPageSize: false, printBackground: false })
await browser.close()

for (const problem of problems) console.error(problem)
process.exit(problems.length === 0 ? 0 : 1)

async function look(page, how) {
  await page.evaluate(axe)
  const { violations, incomplete, passes } = await page.evaluate('axe.run(document, { resultTypes: ["violations"] })')
  console.log(`axe-core, ${how}: ${violations.length} violations, ${incomplete.length} to look at, ${passes.length} rules passed`)
  for (const { id, help, nodes } of [...violations]) problems.push(`${how}: ${id}: ${help}: ${nodes[0].html.slice(0, 120)}`)
  for (const { id, nodes } of incomplete) console.log(`  to look at: ${id}: ${nodes.map(node => node.html.slice(0, 80)).join(' | ')}`)
}
