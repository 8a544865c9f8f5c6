import { memoryHarness } from '../conformance/harnesses/memory.ts';
import { rowConformance } from '../conformance/rows.ts';

rowConformance(memoryHarness);
