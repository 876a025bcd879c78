/** Every default and every limit, with its unit in the name and its reason beside it. */

const KIB = 1024;
const MIB = 1024 * KIB;
const SECOND = 1_000;
const MINUTE = 60 * SECOND;

/** Used when nobody says otherwise; flags with the same meaning take their default from here. */
export const DEFAULTS = {
  /** A port that restricted pods may bind and that routers and NodePorts pass on unchanged. */
  listenPort: 6443,
  /** Every address, IPv6 and IPv4: pods do not know which of them the peer will use. */
  listenHost: "::",
  /** The target's pod may still be pulling its image. */
  connectTimeoutMs: 10 * MINUTE,
  /** A node that reboots, a pod that is moved, a router that is replaced. */
  reconnectTimeoutMs: 5 * MINUTE,
  /** What a power failure can cost; a syncfs is cheap when it comes often. */
  checkpointMs: 10 * SECOND,
  /** A file that changes while it is read three times over will not hold still for a fourth. */
  rereads: 3,
  /** A transfer's certificates outlive a slow migration, not a forgotten one. */
  certificateDays: 30,
  /** Goodput is measured this long for each number of lanes. */
  doctorMeasureMs: 2 * SECOND,
  /** Copying between two agents needs no name; kept short since it is sent in the hello. */
  volumeName: "volume",
} as const;

export const LIMITS = {
  /** Control messages are small; whatever is larger is a wrong or hostile peer. */
  controlFrameBytes: 1 * MIB,
  /** A name that a Kubernetes object may bear. */
  volumeNameBytes: 253,

  /** Rules of one source. Each is tried against every name, on both sides; a thousand compile within a second. */
  rulesMost: 1_000,
  rulesBytes: 64 * KIB,

  /** Looked at four times in it, so that no connection is silent for the 5 s after which some routers forget it. */
  keepAliveMs: 3 * SECOND,
  /** Shorter than the idle limits of common load balancers; dead peers are noticed within it. */
  idleTimeoutMs: 15 * SECOND,
  /** From accept to the end of the handshake. A slow link needs seconds, a port scanner stays silent for ever. */
  handshakeTimeoutMs: 10 * SECOND,
  /** One attempt to connect, TCP and TLS; then the next attempt. */
  connectAttemptMs: 10 * SECOND,
  /** Pause between two attempts to reach a target that is not there yet: first, longest. */
  connectRetryFirstMs: 250,
  connectRetryLongestMs: 5 * SECOND,
  /** Pause before a broken session is followed by another: its bound at first, at longest; full jitter below. */
  newSessionFirstMs: 500,
  newSessionLongestMs: 10 * SECOND,
  /** Pause before a dead lane is dialled again: first, longest. */
  laneRetryFirstMs: 100,
  laneRetryLongestMs: 1 * SECOND,
  /** One control message to the kernel; longer means that the peer has stopped reading. */
  sendTimeoutMs: 15 * SECOND,
  /** Peers that have not proven who they are: some 64 KiB each, so a scan costs a few MiB. */
  maxUnauthenticated: 64,
  /** Index and lanes of no session yet: sources of several volumes may start in the same second, each with nine of them. */
  maxUnbound: 256,

  /** More lanes than this never measured faster, and every lane holds buffers on both sides. */
  lanesMost: 64,
  /** Less than a packet or two a second is a stall; more than this no interface carries. */
  bwlimitLeast: 16 * KIB,
  bwlimitMost: 1024 * 1024 * MIB,
  /** Lanes from the CPU quota are enough well before this, on a path that is neither long nor lossy. */
  lanesDefaultMost: 8,
  /** With so many, a path that loses one packet in a hundred and leaves a lane 2 Mbit/s still gives 80. */
  lanesAdaptedMost: 32,
  /** From this round trip on, connections begin so slowly that several are worth having from the start. */
  longPathMs: 10,
  lanesLongPath: 16,
  /** Through proxies fewer: bastions turn away many connections at once that have not logged in yet. */
  lanesThroughProxy: 8,
  /** Below this round trip a single connection fills any path; more lanes than processors only get in each other's way. */
  shortPathMs: 2,
  /** On a long path, what a lane may take before it can send it: a slow lane is to keep little from the others. */
  unsentBytes: 128 * KIB,
  /** What the kernel says of the lanes is looked at this often: a few round trips. */
  pathEveryMs: 100,
  /** Walkers wait for the volume rather than for a CPU; beyond this they only queue at the file system. */
  scanThreadsMost: 16,

  /** Kept in the receipt; all of them go to --items. Keeps a receipt below some megabytes. */
  receiptItems: 10_000,
  /** The same for each side's listed items as JSON: paths may be kilobytes long. */
  receiptItemBytes: 8 * MIB,
  /** How long a listener keeps a verdict for a dialler that lost it. */
  verdictKeptMs: 60 * SECOND,
  /** A Ctrl-C is obeyed within this on both sides; then the process ends regardless. */
  stopWithinMs: 2 * SECOND,
  /** Counters are read this often: smooth for the eye, free for the CPU. */
  countersEveryMs: 200,
  /** One line in a log when no terminal is there. */
  progressLineEveryMs: 10 * SECOND,

  /** Checkpoints less often than this are none. */
  checkpointMostMs: 24 * 60 * MINUTE,
  /** Longest validity that `--days` accepts: a leaf that lives longer is a secret that nobody watches. */
  certificateDaysMost: 825,
  /** An agent says so when its certificate ends sooner than this. */
  certificateExpiryNoticeMs: 2 * 24 * 60 * MINUTE,
  /** Clocks of two clusters differ; certificates start this much in the past. */
  certificateBackdateMs: 60 * MINUTE,
  /** PEM files are a few KiB. */
  pemFileBytes: 256 * KIB,
  /** Files that say how to reach the other side; the known_hosts of a large site is the largest of them. */
  pathFileBytes: 4 * MIB,

  /** A peer that proved who it is says hello within this. */
  helloTimeoutMs: 10 * SECOND,
  /** Trusted peers between handshake and hello: more than a few are a mistake or an attack. */
  greetingsMost: 8,
  /** One line about peers that were turned away at most this often. */
  turnedAwayNoticeEveryMs: 10 * SECOND,
  /** Connections that were turned away unheard: the counters are looked at so often ... */
  strangersLookEveryMs: 1 * SECOND,
  /** ... and told again after this, then after twice as long each time ... */
  strangersFirstQuietMs: 10 * SECOND,
  /** ... up to this. */
  strangersLongestQuietMs: 10 * MINUTE,
  /** The source may count its whole volume first (--scan-first); keep-alives notice if it dies meanwhile. */
  preflightTimeoutMs: 24 * 60 * MINUTE,
  /** The source judges the same facts as its target and then says start. */
  startTimeoutMs: 30 * SECOND,
  /** What an earlier try left is cleared before the target is ready. */
  readyTimeoutMs: 60 * MINUTE,
  /** From one side's last acknowledged entry to the other's. */
  settleTimeoutMs: 10 * MINUTE,
  /** syncfs of a slow disk behind a full page cache; keep-alives go on meanwhile. */
  durableTimeoutMs: 2 * 60 * MINUTE,
  /** A last word (cancel, refused) to a peer that may not be listening; part of stopWithinMs. */
  lastWordMs: 500,

  /** Trusted peers send a few messages per second. */
  controlMessagesBurst: 200,
  controlMessagesPerSecond: 50,
  /** Received and not yet looked at; each of them is at most a frame. */
  controlInboxMessages: 64,
  /** Sent and not yet with the kernel. */
  controlOutboxMessages: 256,
  /** Each side tells the other how far it is this often. */
  progressEveryMs: 1 * SECOND,

  /** The first of several addresses gets this long before the next one is tried beside it. */
  addressAttemptMs: 3 * SECOND,
  /** Idle connections of a target that dials: control, index and two lanes begin at once, others follow in a round trip. */
  spareConnections: 4,
  /** The index is dialled right after the control connection; the same way leads there. */
  indexAttempts: 8,
  /** Dialled before there is a session; longer than any two sides that need not wait take to agree. */
  earlyConnectionsMs: 3 * SECOND,
  /** Nothing acknowledged for this long, while every lane was lost again this often, ends the session. */
  noLaneTimeoutMs: 2 * MINUTE,
  laneAttemptsInVain: 3,
  /** When the native session loses its peer, the control channel may know why a moment later. */
  reasonGraceMs: 1_500,
  /** The native session's word that it has settled, on its way to where a lost connection was noticed first. */
  settledNewsMs: 100,
  /** One load of a doctor's: large enough to fill packets, small enough to be answered soon on a slow way. */
  doctorLoadBytes: 1 * MIB,
  /** From a doctor's question to its answer. */
  doctorAnswerMs: 10 * SECOND,
  /** One of a doctor's connections, and how many there may be at a listener. */
  doctorVisitMs: 5 * MINUTE,
  doctorVisitsMost: 64,
  /** How long a measurement of goodput may be asked to last. */
  doctorMeasureMostMs: 60 * SECOND,
  /** One line about lost lanes at most this often. */
  laneNoticeEveryMs: 10 * SECOND,
} as const;

/** Pauses between two attempts to reach the other side, or what leads to it. */
export const CONNECT_BACK_OFF = {
  firstMs: LIMITS.connectRetryFirstMs,
  longestMs: LIMITS.connectRetryLongestMs,
} as const;
