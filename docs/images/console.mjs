// Takes every page of the console in light, in dark and as a telephone shows it, and has axe-core look at each: it ends with an
// error where axe-core finds something, a page says something on the browser's console, or a telephone has to scroll sideways.
// Run by bin/screenshots: node console.mjs ADDRESS FOLDER
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const require = createRequire(join(process.env.MODULES, 'x.js'))
const { chromium } = require('playwright-core')
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8')
const [address, folder] = process.argv.slice(2)
const LOOKS = [
  { name: 'light', colorScheme: 'light', viewport: { width: 1280, height: 860 } },
  { name: 'dark', colorScheme: 'dark', viewport: { width: 1280, height: 860 } },
  { name: 'phone', colorScheme: 'light', viewport: { width: 390, height: 780 } },
]
// A page by its name, and the link on it that leads to one of its things.
const PAGES = [
  ['overview', '/'], ['queues', '/queues'], ['jobs', '/jobs'], ['job', '/jobs?state=dead', 'tbody th a'],
  ['bulk', '/bulk'], ['bulk-new', '/bulk/new?action=retry&state=dead'], ['dead-letters', '/dead'], ['schedules', '/schedules'],
  ['workers', '/workers'], ['bill-runs', '/bill-runs'], ['bill-run', '/bill-runs', 'tbody th a'],
  ['notifications', '/notifications'], ['notification', '/notifications', 'tbody th a'],
  ['suppressions', '/notifications/suppressions'], ['audit', '/audit'], ['audit-invoices', '/audit/invoices'],
]
const problems = []

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox'] })
for (const { name: look, ...options } of LOOKS) {
  const context = await browser.newContext({ ...options, reducedMotion: 'reduce' })
  const page = await context.newPage()
  let where = ''
  page.on('console', message => message.type() === 'error' && problems.push(`${where}: ${message.text()}`))
  page.on('pageerror', error => problems.push(`${where}: ${error.message}`))
  for (const [name, path, link] of PAGES) {
    where = `${name}, ${look}`
    await page.goto(address + path)
    if (link) await Promise.all([page.waitForNavigation(), page.locator(link).first().click()])
    const wider = await page.evaluate('document.documentElement.scrollWidth > innerWidth')
    if (wider) problems.push(`${where}: it has to be scrolled sideways`)
    await page.screenshot({ path: join(folder, `${name}-${look}.png`), fullPage: name === 'overview' })
    await page.evaluate(axe)
    const { violations } = await page.evaluate('axe.run(document, { resultTypes: ["violations"] })')
    for (const { id, help, nodes } of violations) {
      problems.push(`${where}: ${id}: ${help}: ${nodes.length} × ${nodes[0].html.slice(0, 160)}`)
    }
  }
  await context.close()
}
await browser.close()

console.log(`axe-core looked at ${PAGES.length} pages in ${LOOKS.length} looks: ${problems.length} problems`)
for (const problem of problems) console.error(problem)
process.exit(problems.length === 0 ? 0 : 1)
