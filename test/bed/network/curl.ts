/** An independent client: curl, with nothing of the tests' own environment. */
import { askTool, type ToolAnswer } from "../../judge/run-tool.ts";
import type { NetworkNamespace } from "../network-namespace.ts";

export interface CurlOptions {
  /** Where it runs; on this machine's own network when left out. */
  readonly from?: NetworkNamespace;
  /** As --proxy takes it; it is spoken to by CONNECT or SOCKS. */
  readonly proxy?: string;
  readonly flags?: readonly string[];
}

/** Gets a page; the status is curl's. */
export async function curl(url: string, options: CurlOptions = {}): Promise<ToolAnswer> {
  const { from, proxy = "", flags = [] } = options;
  const quiet = ["--silent", "--show-error", "--max-time", "20"];
  const way = ["--noproxy", "", "--proxy", proxy, "--proxytunnel"];
  const line = [...(from?.wrapper ?? []), "curl", ...quiet, ...way, ...flags, url];
  const [command = "", ...args] = line;
  return askTool({ command, args });
}
