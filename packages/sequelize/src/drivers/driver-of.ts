import type { Driver } from './driver.ts'
import { mariadbDriver, mysql2Driver } from './mysql-drivers.ts'
import { pgDriver } from './pg-driver.ts'
import { sqliteDriver } from './sqlite-driver.ts'

const drivers: Readonly<Record<string, Driver>> = {
  sqlite: sqliteDriver,
  postgres: pgDriver,
  mariadb: mariadbDriver,
  mysql: mysql2Driver,
}

/** The driver which Sequelize uses for the dialect of this name. */
export function driverOf(name: string): Driver {
  const driver = drivers[name]
  if (driver === undefined) throw new TypeError(`rtapi knows no driver of ${name}`)
  return driver
}
