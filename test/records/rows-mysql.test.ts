import { mysqlHarness } from '../conformance/harnesses/mysql.ts';
import { rowConformance } from '../conformance/rows.ts';
import { isMariadbMissing } from '../servers/mariadb.ts';

if (!isMariadbMissing) rowConformance(mysqlHarness);
