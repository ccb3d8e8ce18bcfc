"""Every bound that protects us, each with its reason. Choices of the user are in ``settings.py``.

Sizes are bytes, times are seconds. One section a floor or package; tests read these names.
"""

from __future__ import annotations

from typing import Final

# -- bencode and metainfo ---------------------------------------------------------------------------------------------

MAX_BENCODE_DEPTH: Final = 32
"""Lists and dictionaries inside each other on the wire (DHT, trackers, extensions), which nest 4 deep; deeper ones
are there to exhaust the stack."""
MAX_METAINFO_DEPTH: Final = 100
"""The same in a .torrent: a v2 file tree has one dictionary a folder."""
MAX_METAINFO_TOKENS: Final = 3_000_000
"""Values in a .torrent: two bytes of it (``de``) can cost seventy of memory. A file takes about 7, so 250,000 fit."""
MAX_TORRENT_FILE: Final = 32 << 20
"""A .torrent, or the info dictionary of one: a million pieces are 20 MB, 100,000 files about 6. Reading this much takes
seconds, and at most 64 times its memory."""
MAX_PIECES: Final = 1 << 21
"""Pieces of a torrent: their bitfield is a message of 256 KiB, and every set of pieces an int of that size."""
MAX_PIECE_LENGTH: Final = 256 << 20
"""Bytes of a piece: as large as other programs make them. What begins a piece has to hold one of these."""
MAX_FILES: Final = 250_000
"""Files of a torrent, pad files included: each costs about half a KiB while the torrent is loaded."""
MAX_FOLDERS: Final = 100_000
"""Different folders in a torrent: three bytes of it can name one, which costs half a KiB to keep apart."""
MAX_FILE_DEPTH: Final = 100
"""Folders above a file; deeper trees hit the system's bound on a path's length."""
MAX_TREE_DEPTH: Final = 96
"""The same in a file tree of v2, where each folder is a dictionary in another: with those around them, as deep as
bencoding is read."""
MAX_NAME: Final = 239
"""UTF-8 bytes of a file or folder name. File systems take 255, and ``.NAME.<hash8>.parts`` adds 16."""
MAX_TRACKERS: Final = 200
"""Trackers of a torrent or magnet link: each is announced to, so a link must not make us knock at thousands."""
MAX_WEB_SEEDS: Final = 100
"""Web seeds of a torrent or magnet link, likewise."""
MAX_NODES: Final = 100
"""DHT nodes of a torrent (BEP 5), likewise."""
MAX_MAGNET_PEERS: Final = 100
"""Peers of a magnet link (``x.pe``), likewise."""
MAX_MAGNET_SIZE: Final = 1 << 20
"""Characters of a magnet link: real ones have some thousand, and taking this many apart stays below a second."""
MAX_DISPLAY: Final = 255
"""Characters of untrusted text shown in one place, unless its caller knows better: the longest file name."""

# -- wire -------------------------------------------------------------------------------------------------------------

MAX_BLOCK: Final = 16 << 10
"""Data of one Piece message. We never ask for more, so a longer one answers nothing that we asked."""
MAX_REQUEST: Final = 128 << 10
"""What one Request may ask for. Nearly everybody asks for 16 KiB, some older clients for up to 128 KiB."""
MAX_MESSAGE: Final = 1 + MAX_PIECES // 8
"""The longest message there is: a bitfield of MAX_PIECES. A receive buffer never grows beyond one of these."""
HASHES_ASKED: Final = 512
"""Hashes that one request of ours asks for, and the most of a piece layer that we give at once (BEP 52: "Length SHOULD
NOT be greater than 512")."""
LEAVES_ASKED: Final = 1024
"""The most hashes of blocks that we give at once: those of a piece of 16 MiB, all of which has to be read for it."""
MAX_UNCLES: Final = 35
"""Hashes that follow those that were asked for, to prove them: one for each height of the tree. The largest file
(MAX_PIECES of MAX_PIECE_LENGTH) has 2^35 blocks."""
MAX_EXTENSION: Final = 64 << 10
"""Payload of an extended message or of one whose id we do not know. What carries 16 KiB of metadata, of hashes or of
addresses stays far below."""
MAX_EXTENDED_HANDSHAKE: Final = 16 << 10
"""Real ones have some hundred bytes; bencoding is decoded in Python, and a peer may send another whenever it likes."""
MAX_EXTENDED_HANDSHAKES: Final = 16
"""How many of one connection are read; BEP 10 lets us ignore all but the first, and each costs time to decode."""
MAX_METADATA: Final = 30 << 20
"""The largest info dictionary that is fetched from peers, as in libtorrent (``max_metadata_size``): one wrong copy is
held until it is whole, and hashed. A ``metadata_size`` above it counts as not said."""
MAX_METADATA_HEADER: Final = 1 << 10
"""The dictionary in front of 16 KiB of metadata (BEP 9): three small keys. Bounds what is decoded of each message."""
MAX_CLIENT_NAME: Final = 64
"""Characters of a peer's own name for its program; longer ones only spoil a table."""
MAX_REQQ: Final = 1 << 16
"""A peer's ``reqq`` above this is taken for this. What is asked of it at once has MAX_OUTSTANDING for a bound."""

MAX_PEX_ENTRIES: Final = 200
"""Addresses taken from one list of a peer exchange message; BEP 11 allows 50, but for the first message."""

# -- strategy ---------------------------------------------------------------------------------------------------------

MAX_ASKERS: Final = 3
"""Peers that are asked for one block at the same time in the endgame; what the slower ones send is thrown away. Of a
late block (STALLED_AFTER) it may be more."""
MAX_DOUBLES: Final = 8
"""Blocks in which a peer may compete with others at a time: enough to empty a stalled peer's queue within a few round
trips, and the most that is fetched in vain for it."""
STALLED_AFTER: Final = 4.0
"""A healthy queue is 3 s long. When the last block of a piece was asked for before that, others may compete for what is
missing if it holds them up: it keeps memory that is full, or the trust of a new peer. When nothing came either, it may
be spilled."""
FIRST_TRUST: Final = 3
"""Unverified pieces that a new peer may have a hand in: a liar cannot spoil more before the first one is checked. Each
piece that turns out right adds one, so trust doubles in the time that a check takes."""
SPILL_AGE: Final = 10.0
"""A piece that does not stall, but is not whole after so long, may be spilled too: a fast one is whole long before."""
ALONE_AFTER: Final = 60.0
"""So long a piece that one peer has to fetch alone waits for it while it chokes us; an unchoke round is 10 to 30 s. But
who has sent more that was right, and is idle, waits for STALLED_AFTER only."""
URGENT_BYTES: Final = 4 << 20
"""Of what a reader waits for, so much is asked for at once of all who have it; the rest follows in order. More would
take back every other request for minutes on a slow line."""
URGENT_LATE: Final = 1.0
"""A block that a reader waits for and that is not here so long after it was asked for is asked of faster peers too."""
URGENT_ALONE: Final = 5.0
"""A piece under suspicion that a reader waits for goes to the next peer when its owner has sent nothing for so long;
one that nobody waits for does so after ALONE_AFTER."""
URGENT_TRUST: Final = 2
"""Pieces that a reader waits for may have the hands of so many more unproven peers' than their trust allows: one whose
hands are full of other pieces must not hold up the one that matters."""
READ_AHEAD: Final = 32 << 20
"""Bytes that are fetched ahead of a reader that reads on and on: three seconds at 10 MiB/s, and rqbit's value. They
grow up to here, from nothing, as it does so."""
READ_NEAR: Final = 1 << 20
"""A seek backwards by no more than this is still reading on: parsers step back over what they have just read."""
READ_STEP: Final = 1 << 20
"""Bytes that a reader takes from the disk at a time: one thread hop, and 0.2 ms of copying."""
MOST_PRIORITY: Final = 7
"""Priorities of pieces, on either side of 0: each costs an AND over all pieces when one is begun."""
PARTIAL_KEPT: Final = 10.0
"""A piece that nobody asks for any more, because its reader went elsewhere, keeps its memory for so long."""
SPARE_KEPT: Final = 10.0
"""Buffers of pieces are kept for the next fetch for so long after the last one: a session that only shares would else
hold up to ``Settings.piece_memory`` that it does not use."""
MAX_RESTARTS: Final = 3
"""A piece under suspicion is begun anew after so many peers gave it up; then what there is may be completed by all."""
MAX_WRONG_COPIES: Final = 8
"""Wrong copies of one piece whose digests are kept until a right one shows who lied."""
MAX_BLAME_BLOCKS: Final = 1 << 16
"""Digests kept for all wrong copies: 1 GiB of bad pieces, in about 5 MiB of memory."""
MAX_LIARS: Final = 4096
"""Peers of whom it is remembered that they sent a bad block; in a swarm of good size not one in a hundred does."""
MAX_OUTSTANDING: Final = 2000
"""Blocks that one peer may owe us, 32 MiB: what libtorrent and Transmission queue, and half of all piece memory."""
MAX_CANCELLED: Final = 4 * MAX_OUTSTANDING
"""Cancelled blocks of a peer that are remembered until it answers: with the fast extension it does (BEP 6), without it
may never."""
CANCEL_TIMEOUT: Final = 5.0
"""BEP 6 has every Cancel answered; who has not done so by then does not, and others are asked."""
REQUEST_TIMEOUT: Final = 20.0
"""A peer that owes us blocks and sends none for so long keeps none of them: others are asked. libtorrent's and rain's
value; a peer that needs longer for 16 KiB holds a piece up more than it helps."""
BLOCK_TIMEOUT: Final = 60.0
"""The same for one block of a peer that does send others: twenty times what its queue should take (3 s)."""
SNUB_TIMEOUT: Final = 60.0
"""BEP 3 counts a peer as snubbing "over a minute"; here without a block, and only while it owes us any."""
MAX_KNOWN_PEERS: Final = 3000
"""Addresses kept for one torrent, libtorrent's value: more than are dialled in an hour, in about 1.5 MiB."""
MAX_PORTS_PER_HOST: Final = 8
"""Addresses kept of one public IP address: some peers share one behind a NAT, but thousands are somebody's target."""
MAX_BANS: Final = 10_000
"""Bans of one torrent; the oldest go, for a list that only grows is a leak that strangers control."""
MAX_COPIES: Final = 10_000
"""Peers of one torrent that are counted as having everything: who lies under one id after the other fills no memory."""
MAX_OWN_ADDRESSES: Final = 64
"""Addresses at which we met ourselves: interfaces, families and what NATs make of them. Who repeats what he is told
looks the same, and may do so at any number of them: the first found is forgotten first."""

# -- net --------------------------------------------------------------------------------------------------------------

ACCEPT_PAUSE: Final = 0.1
"""Out of descriptors or memory, the listener waits this long: others close connections meanwhile, and no loop spins."""
CONNECT_STAGGER: Final = 0.25
"""Between attempts at several addresses of one host, as RFC 8305 advises: a broken family delays nobody for long."""
DATAGRAM_BATCH: Final = 64
"""Datagrams read in one go, so that a flood cannot keep the loop from everything else."""
UDP_BUFFER: Final = 1 << 20
"""Bytes that the system is asked to keep of what came over UDP, and was not read yet: a window of uTP packets comes at
once. Linux counts 2.3 KiB for one of 1.4, and gives 416 KiB of these unless told otherwise; by default it is half."""
UTP_PACKET: Final = 1352
"""Bytes of the stream in a full uTP packet over IPv4: an IP packet of 1400, which tunnels and mobile networks let pass
too. Packets cannot be cut anew when they are sent again, so there is no trying what is the most."""
UTP_PACKET_IPV6: Final = 1212
"""The same over IPv6, where every way takes IP packets of 1280."""
UTP_WINDOW: Final = 1 << 20
"""Bytes under way or not read yet, each way of a uTP connection: 10 MiB/s over 100 ms; libutp's value."""
UTP_PACKETS_AHEAD: Final = 1000
"""Packets under way: libutp keeps no more than 1024 beyond a hole."""
UTP_SEND_BUFFER: Final = 64 << 10
"""Bytes that wait to be sent when the next may be given; what waits here can no longer be cancelled."""
UTP_AT_ONCE: Final = 47
"""uTP packets given to the system by one call: what fits into 64 KiB, where it takes them so (UDP_SEGMENT)."""
UTP_TICK: Final = 0.1
"""Between looks at the clock, while there are uTP connections. The shortest time-out is half a second."""
UTP_GIVE_UP: Final = 20.0
"""So long a uTP connection lasts when the other side acknowledges nothing. Others do not say so when they give up:
libtorrent when it has sent a packet for the third time in vain (one in 125,000 where every fiftieth is lost), libutp at
the fifth time-out, after 31 s at the earliest. Then only a new call helps."""
UTP_KEEP_ALIVE: Final = 29.0
"""Between packets of a connection that has nothing to say: routers forget UDP sooner than TCP, the quickest after 30 s
(libutp measured "many home NAT devices")."""
UTP_ZERO_WINDOW: Final = 5.0
"""So long the other side may have no room for anything before a packet asks whether that is still so."""
UTP_LINGER: Final = 10.0
"""For what was said last to arrive, after a uTP connection was closed."""
MAX_UTP_CALLS: Final = 250
"""uTP connections of which nothing came yet but the call: anybody's address can be on that. The oldest goes when there
are more. What proves an address, data, makes it one of MAX_PENDING_HANDSHAKES."""
MAX_UTP_CONNECTIONS: Final = 1000
"""uTP connections in all, those included that are ending. Settings and MAX_PENDING_HANDSHAKES keep to fewer."""
HTTP_OVERHEAD: Final = 128 << 10
"""Bytes of an HTTP answer besides its body: headers (which h11 bounds at 100 KiB) and the frames of chunks."""
HTTP_READ: Final = 16 << 10
"""Bytes read from an HTTP connection in one go. They are parsed without a pause, some of them slowly."""
HTTP_TIMEOUT: Final = 30.0
"""Nothing over HTTP takes longer than this in all unless the caller says so, however slowly the bytes drip."""
LISTEN_BACKLOG: Final = 4096
"""Connections the system keeps until they are accepted: Linux's own bound; a burst of peers must not be refused."""
LISTEN_TRIES: Final = 20
"""Ports tried until one is free for TCP and UDP in both families; one is nearly always enough."""
MAX_ADDRESSES_PER_NAME: Final = 8
"""Addresses of one host that are tried: the name's owner decides how many there are, not how long we try."""
MAX_HOST_NAME: Final = 253
"""The longest name of the DNS (RFC 1035)."""
HTTP_INTERIM: Final = 10
"""Answers of status 1xx before the real one; a server could send them for ever."""
PROXY_TIMEOUT: Final = 10.0
"""Until a proxy has been reached and has let us in: less than peers get, so that it is told who does not answer."""
LEAST_PART: Final = 64 << 10
"""Bytes of a range that a server must send in one answer, if so many were asked for: crumbs cost a request each."""
RETRY_AFTER: Final = (1.0, 3600.0)
"""Bounds for the seconds in a server's ``Retry-After``: a typing error there must not cost a mirror for a year."""
MAX_REDIRECTS: Final = 5
"""HTTP redirects that are followed; each may cross hosts, and a loop must end."""
MAX_URL: Final = 4096
"""Characters of a URL; trackers' longest keys are some hundred."""
RECEIVES_IN_A_ROW: Final = 8
"""Receives of one connection, of 256 KiB each, before other tasks have their turn, while there is something to receive:
about a millisecond, where they are blocks. A turn for each of them took a tenth of the loop's time at full speed."""
MESSAGES_IN_A_ROW: Final = 2048
"""Messages of one connection that are no blocks, before other tasks have their turn: some take 25 microseconds, and one
receive may hold 50,000. For who serves at full speed that is a turn more for 32 MiB."""
SENDS_IN_A_ROW: Final = 1
"""Sends of one connection, of up to 512 KiB each, that the system took at once, before the next one lets other tasks
have their turn. With a turn after each, as Trio's sockets have it, the same data went to fifty fetchers in 4.72 s with
2.47 s of CPU, so in 4.36 s with 2.16 (24 rounds in turns). In a trial 2 and 4 each took 3 % longer than 1."""
NOTSENT_LOWAT: Final = 128 << 10
"""Bytes not yet on the wire above which the system takes no more (TCP_NOTSENT_LOWAT): what waits there cannot be
overtaken, so a Have or Cancel waits behind 8 blocks and not behind megabytes. It is still a millisecond's work of a
gigabit line, which must not run dry while the loop does something else."""
NOTSENT_SECONDS: Final = 0.002
MAX_NOTSENT_LOWAT: Final = 1 << 20
"""A connection that sends so fast that the above is less than 2 milliseconds' work of it may have as much wait as is,
up to 1 MiB: at 800 MiB/s each batch of 512 KiB else took several sends with a turn of the loop between them, and a GiB
0.68 s of CPU instead of 0.61. With 5 milliseconds fifty fetchers took 4.53 s instead of 4.48 with none of this."""
NOTSENT_WINDOW: Final = 0.05
"""Seconds over which that rate is measured: so soon a connection that has become slow lets less wait."""
PENDING_REPLIES: Final = 1024
"""UDP requests that may wait for their reply at once; a session asks its trackers a handful at a time."""

# -- storage ----------------------------------------------------------------------------------------------------------

DISK_THREADS: Final = 8
"""Threads for hashing and disk calls of a session: two cores are busy with fewer, a slow disk gains from a few more."""
MAX_OPEN_FILES: Final = 40
"""Descriptors of torrents' files that a session keeps open (or a quarter of what the system allows, if that is less):
opening again costs some ten microseconds, and a torrent may have 100,000 files."""
HELD_FOLDERS: Final = 64
"""Folders that a thread keeps open while it works on a batch of files (or all threads a quarter of what the system
allows, if that is less); then it lets go of all, and begins anew."""
FLUSH_THREADS: Final = 8
"""Threads that flush many files, if they are not in memory."""
FLUSH_TOGETHER: Final = 16
"""Files from which on they do: of a few, each takes its turn."""
MAX_VECTOR: Final = 512
"""Buffers of one ``preadv``; the system takes 1,024."""
READ_CHUNK: Final = 1 << 20
"""Bytes read at a time for hashing and copying: SHA-1 finds most of it again in the second-level cache. Two threads
make a torrent of cached files at 2,340 MiB/s with 256 KiB, at 2,450 with 512 and at 2,660 from here on (on ext4 at
2,830 and 3,000): what is between two calls holds the GIL."""
HASH_BATCH: Final = 16 << 20
"""Bytes hashed in one thread hop: some milliseconds, so that a hop costs nothing and cancellation is prompt."""
MAX_DONOR_NAMES: Final = 1_000_000
"""Files and folders that are looked at for what could be reused, all folders together: some ten seconds. Somebody may
name his home, or the root."""
DONOR_TRIES: Final = 16
"""Files that are compared with a piece of a file, to find the one to reuse for it: names that are alike come first, and
where there are a thousand of one size, each would else be read a thousand times."""
MAX_JOURNAL: Final = 64 << 20
"""A larger resume file is not read, but replaced: what we write is compacted long before."""
JOURNAL_SLACK: Final = 1 << 20
"""Bytes by which a journal may outgrow twice its compact form before it is written anew."""
MAX_HASH_CACHE: Final = 256
"""Remembered hashings in the state folder; the oldest go. Each has 20 bytes a piece: 20 KiB for a GiB."""
HASH_CACHE_DOUBT: Final = 2.0
"""A file changed within this many seconds of its hashing is not remembered: FAT counts time in steps of two seconds,
so a later change could leave the same time."""
MAX_CREATE_WARNINGS: Final = 20
"""Links and special files that ``create`` names one by one; a folder may hold a hundred thousand."""

# -- outages ----------------------------------------------------------------------------------------------------------

OUTAGE: Final = 60.0
"""Seconds in which nobody outside is heard of before our own network is suspected, and seconds of sleep after which the
others may have forgotten us. Who failed is asked again afterwards, so it is no less than MIN_ANNOUNCE_INTERVAL."""
OUTAGE_PAUSE: Final = 1800.0
"""Between two changes of our network that count, where it changes all the time: OUTAGE at first, twice as long each
time, up to this, until it was calm for ten times as long."""
ROUTE_CHECK: Final = 10.0
"""How often the way out is looked up, for laptops move and cables are pulled; 20 µs each time, and nothing is sent."""
INTERFACE_CHECK: Final = 2.0
"""How often a socket that uses one interface only looks whether that is there still, and with which address: it has to
listen again before ROUTE_CHECK finds the way out, and others are told of us; 0.1 ms each time, and a turn."""

# -- tracker ----------------------------------------------------------------------------------------------------------

ANNOUNCE_INTERVAL: Final = 1800
"""Seconds between announces where the tracker says nothing; what most of them say."""
MIN_ANNOUNCE_INTERVAL: Final = 60.0
"""However little a tracker asks for, and whatever the user wishes: it is not asked more often."""
LONELY_INTERVAL: Final = 300.0
"""A tracker that knows of nobody but us is asked again so soon while something is missing, unless it named a longer
least interval: who has it may have come a moment after us, and may not be able to call us. libtorrent's least
interval."""
MAX_ANNOUNCE_INTERVAL: Final = 3600.0
"""However much it asks for: a tracker must not be able to make us fall silent for ever."""
ANNOUNCE_JITTER: Final = 0.05
"""Announces come later by up to this share, so that torrents that were started together drift apart."""
ANNOUNCES_PER_SECOND: Final = 10
"""Announces that begin in one second, ``stopped`` aside: a thousand torrents that start together knock one after the
other, and with dead trackers no more than 300 sockets wait at once."""
FAMILY_GRACE: Final = 2.0
"""When a tracker has answered over IPv6 or IPv4, its answer over the other one is waited for only this much longer."""
RETRY_FIRST: Final = 5.0
RETRY_STEP: Final = 12.5
RETRY_MAX: Final = 1800.0
"""Seconds until a tracker that failed n times in a row is asked again: first + step * n * n, up to half an hour. A
restart of it is noticed soon, and a dead one costs what one costs that answers (ANNOUNCE_INTERVAL)."""
RETRY_JITTER: Final = 0.2
"""Retries come earlier or later by up to this share: a tracker that comes back is not asked by all in one second."""
SLOW_TRACKER: Final = 5.0
"""When a tracker has not answered for this long, the next one in order is asked as well: nobody waits for the dead."""
TRACKER_TIMEOUT: Final = 30.0
"""One announce or scrape in all, name look-ups, redirects and repetitions included."""
STOP_TIMEOUT: Final = 3.0
"""The same for ``stopped``: somebody waits for the program to end."""
NUMWANT: Final = 200
"""Peers asked for: enough for a session's connections, and their UDP reply is still one datagram over IPv4."""
LEFT_UNKNOWN: Final = 16 << 10
"""``left`` before the metadata is known: any number but 0, which would say that we are complete."""
MAX_TRACKER_REPLY: Final = 512 << 10
"""Bytes of an HTTP tracker's answer, unpacked: 200 peers of the long form take 20 KiB, a scrape 100 a torrent. Empty
dictionaries take 35 times as much memory as bytes."""
MAX_TRACKER_PEERS: Final = 1000
"""Peers taken from one answer: five times what was asked for."""
MAX_TRACKER_ID: Final = 256
"""Bytes of a ``tracker id``, which we repeat in every URL."""
CONNECTION_ID_LIFE: Final = 60.0
"""A UDP tracker's connection id is used for this long after it came (BEP 15)."""
CONNECTION_IDS: Final = 1000
"""Connection ids that are kept, the oldest forgotten first; one for each address of a UDP tracker in a session."""
UDP_RETRANSMIT: Final = 15.0
"""A UDP tracker that has not answered is asked again after this long, then after twice as long and so on (BEP 15)."""
SCRAPE_HASHES_UDP: Final = 74
"""Torrents in one scrape over UDP (BEP 15): the datagram stays below 1,500 bytes."""
SCRAPE_HASHES_HTTP: Final = 40
"""Torrents in one scrape over HTTP: the URL stays below ``MAX_URL``."""

# -- dht --------------------------------------------------------------------------------------------------------------

DHT_K: Final = 8
"""Nodes of a bucket, in an answer, and that hold a value (BEP 5)."""
DHT_FIRST_BUCKETS: Final = (128, 64, 32, 16)
"""The first buckets are larger, as in libtorrent: each doubling saves lookups a part of a hop."""
DHT_REPLACEMENTS: Final = 8
"""Verified nodes kept aside for a full bucket."""
DHT_GOOD_FOR: Final = 900.0
"""A node that was heard of within 15 minutes is good (BEP 5)."""
DHT_MAX_FAILS: Final = 3
"""Queries in a row without answer after which a node is bad; with 5 % loss three come once in 8,000 times."""
DHT_MAX_DATAGRAM: Final = 4096
"""Longer datagrams are not read: BEP 32 says 1,024, an item of 1,000 bytes (BEP 44) takes 1,400."""
DHT_MAX_SENT: Final = 1024
"""Bytes of a message of ours (BEP 32); only what carries an item is larger."""
DHT_MAX_SENT_ITEM: Final = 1440
"""Bytes of a message with an item of 1,000 bytes: one Ethernet frame over IPv6."""
DHT_AMPLIFICATION: Final = 8
"""An answer has at most so many times the bytes of its query: whoever forges our sender gains little."""
DHT_MAX_DEPTH: Final = 16
"""Nesting of a message; items (BEP 44) may nest, the protocol itself does so 3 deep."""
DHT_TRANSACTION: Final = 4
"""Bytes of a transaction id; who does not see our query guesses right once in four billion times."""
DHT_MAX_TRANSACTION: Final = 32
"""Bytes of somebody else's transaction id, which we have to repeat."""
DHT_MAX_TOKEN: Final = 128
"""Bytes of somebody else's token, which we have to repeat; the usual ones have 4 to 20."""
DHT_MAX_PENDING: Final = 4096
"""Queries without answer at once; at the final time-out these are 270 a second."""
DHT_SHORT_TIMEOUT: Final = 1.0
"""A lookup that has waited so long for a node asks one more besides (libtorrent's value)."""
DHT_TIMEOUT: Final = 15.0
"""After so long a query counts as lost (libtorrent's value)."""
DHT_PATIENCE: Final = 5.0
"""A lookup that found too few nodes waits so long for slow ones, and not until they count as lost."""
DHT_PATHS: Final = 3
"""Paths of a lookup that do not share nodes: a liar at the head of one does not lead the others astray."""
DHT_PARALLEL: Final = 2
"""Queries that one path has under way; slow ones do not count."""
DHT_MAX_QUERIES: Final = 200
"""Queries of one lookup; without liars it takes a quarter."""
DHT_MAX_INSECURE: Final = 48
"""Of those, to nodes whose id does not fit their address (BEP 42): half of the real network, and any number of
Sybils."""
DHT_ENOUGH: Final = 24
"""A lookup ends when the 8 closest secure nodes have answered, or so many of any kind: there may be no secure ones."""
DHT_DOUBT: Final = 3
"""Nodes named by one node that did not answer (and none that did) after which the others it named come last."""
DHT_INSECURE_SHARE: Final = 4
"""Nodes without a valid id (BEP 42) in an answer that could name secure ones instead: ids next to a target cost
nothing, and eight of them must not be all that a searcher hears of."""
DHT_MAX_LOOKUPS: Final = 256
"""Lookups at once; each has up to 6 queries under way."""
DHT_MAX_VALUES: Final = 100
"""Peers taken from, or given in, one answer."""
DHT_MAX_PEERS_FOUND: Final = 10_000
"""Peers kept of one lookup; the rest is somebody's flood."""
DHT_TOKEN_LIFE: Final = 300.0
"""The secret of tokens changes this often, and the one before it still counts (BEP 5)."""
DHT_PEER_LIFE: Final = 2700.0
"""A peer is forgotten so long after its announce; clients repeat it every 15 to 30 minutes."""
DHT_MAX_TORRENTS: Final = 2000
"""Info-hashes stored, for each family (libtorrent's value); with all their peers about 200 MiB at the very worst."""
DHT_MAX_PEERS: Final = 500
"""Peers stored for one info-hash (libtorrent's value)."""
DHT_MAX_TORRENTS_PER_HOST: Final = 100
"""Info-hashes under which one public address is stored: a real client has few that belong to one node."""
DHT_MAX_ITEMS: Final = 700
"""Items stored (BEP 44), for each family; libtorrent's value, about a MiB."""
DHT_MAX_ITEMS_PER_HOST: Final = 70
"""Of those, from one address."""
DHT_ITEM_LIFE: Final = 7200.0
"""Items are forgotten two hours after the last put (BEP 44)."""
DHT_ITEM_AGAIN: Final = 3600.0
"""Between two puts that keep an item alive: "republish … once an hour" (BEP 44)."""
DHT_ITEM_RETRY: Final = 300.0
"""The same where no node took it."""
DHT_MAX_ITEM: Final = 1000
"""Bytes of an item, bencoded (BEP 44)."""
DHT_MAX_SALT: Final = 64
"""Bytes of a salt (BEP 44)."""
DHT_MAX_SEQ: Final = (1 << 63) - 1
"""The largest sequence number (BEP 44)."""
DHT_SAMPLES: Final = 20
"""Info-hashes in an answer to ``sample_infohashes`` (BEP 51): fits beside 8 nodes of both families."""
DHT_SAMPLE_INTERVAL: Final = 300
"""Seconds for which the sample stays the same; asking sooner brings nothing new."""
DHT_MAX_SAMPLE_INTERVAL: Final = 21_600
"""The longest interval that BEP 51 allows; what others say is clamped to it."""
DHT_BIG_ANSWERS: Final = 2.0
"""Answers a second with an item (BEP 44) or Bloom filters (BEP 33) for one address: they are the largest."""
DHT_ADDRESS_RATE: Final = 4000.0
"""Bytes a second for one address: a dozen answers."""
DHT_BURST: Final = 4.0
"""Seconds of a byte budget that may be saved up: the start of a lookup, a handful of new neighbours."""
DHT_MAX_ADDRESSES: Final = 4096
"""Addresses whose budgets are remembered, the longest unseen forgotten first; the global budget stands behind them."""
DHT_UPKEEP: Final = 5.0
"""Seconds between two pings of nodes unheard of for long (libtorrent's value)."""
DHT_REFRESH: Final = 900.0
"""A bucket that has not changed for so long is refreshed (BEP 5)."""
DHT_SELF_LOOKUP: Final = 1800.0
"""Seconds between two lookups of our own id: neighbours come and go."""
DHT_JOIN_RETRY: Final = (2.0, 5.0, 15.0, 40.0, 120.0, 300.0)
"""Seconds until joining is tried again, the last for ever: the dead are not knocked at all day."""
DHT_MAX_CONTACTS: Final = 500
"""Nodes from outside (saved, of a .torrent, PORT messages) that wait to be asked."""
DHT_VOTERS: Final = 5
"""Different networks that must name the same external address before it is believed (BEP 42)."""
DHT_MAX_VOTES: Final = 50
"""Votes kept; the oldest goes."""
DHT_ID_LIFE: Final = 3600.0
"""Our id changes no more often: a new one costs us our place."""
DHT_REACHABLE_FOR: Final = 1800.0
"""A query from a stranger proves that we can be reached for so long; without any we are read-only (BEP 43)."""
DHT_WAY_BACK: Final = 600.0
"""Who was asked longer ago than this is such a stranger again: routers keep the way back open for 2 to 5 minutes."""
DHT_REACH_HOSTS: Final = 25
"""Public addresses that we must have asked before silence says anything: in a small network there are no strangers."""
DHT_READ_ONLY_FOR: Final = 3600.0
"""Then nobody asks us, so after this long we try again to be found."""
DHT_SAVED_NODES: Final = 200
"""Nodes saved of each table."""
DHT_MAX_STATE: Final = 64 << 10
"""Bytes of a saved table; ours take 10 KiB."""
DHT_MAX_SPLITS: Final = 160
"""Buckets of a table: one for each bit of an id."""
DHT_ALONE: Final = 2400.0
"""Nobody has answered for so long, although we ask somebody every 36 minutes at the least: we have to join again."""
DHT_ROUTERS_AFTER: Final = 3.0
"""The public routers are asked only when nobody that we knew has answered within this time."""
DHT_SEARCHES: Final = 16
"""Torrents that ask the DHT at once; half of that for those that only repeat what they said. A search takes some
seconds and 6 KB, so 1,000 idle torrents (one announce a second) are well within it."""
DHT_SEARCH_TIMEOUT: Final = 60.0
"""Seconds for one torrent's search; without liars it takes three to ten."""
DHT_ANNOUNCE_INTERVAL: Final = 900.0
"""Seconds between a torrent's announces. Nodes forget a peer after half an hour; libtorrent repeats it as often."""
DHT_FEW_PEERS: Final = 8
"""A torrent that fetches and has fewer peers asks again sooner ..."""
DHT_SEARCH_AGAIN: Final = (5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0)
"""... after so many seconds, the last for ever: often both sides are just being started."""
DHT_LONELY: Final = 60.0
"""A seed that nobody is connected to asks so often; where a session has several torrents, as many times as seldom, down
to the usual. Who looks for it may be behind a router, as it is itself, and then both must know of each other."""
DHT_LONELY_FOR: Final = 3600.0
DHT_LONELY_LATER: Final = 300.0
"""After an hour it does so seldomer: who waits for it then may wait for some minutes."""
DHT_SAVE_INTERVAL: Final = 600.0
"""Seconds between two saves of the session's DHT table: what a crash may cost of it."""
DHT_SAVE_TIMEOUT: Final = 1.0
"""Seconds that the last save may take: who leaves does not wait for it."""

# -- port mapping -----------------------------------------------------------------------------------------------------

MAP_LIFETIME: Final = 3600
"""Seconds that a port is asked for: what is not taken back (a crash, a cable) is closed within the hour."""
MAP_MIN_LIFETIME: Final = 120.0
MAP_MAX_LIFETIME: Final = 86_400.0
"""A gateway's word on how long it keeps a port open is held to between these: we neither hammer it nor forget it."""
MAP_RETRY: Final = 30.0
"""Seconds, at least, between two attempts at renewing one lease."""
MAP_SEARCH_AGAIN: Final = 900.0
"""Seconds until a gateway that does not map, or said no, is asked again: somebody may have switched it on."""
MAP_GATEWAY_CHECK: Final = 60.0
"""How often the default gateway is looked up, for laptops move; a glance at the routing table, nothing is sent."""
MAP_GRACE: Final = 1.0
"""When a gateway has answered by one protocol, a better one is waited for only this much longer."""
MAP_UNMAP_TIMEOUT: Final = 2.0
"""Closing the ports again takes no longer, for somebody waits for the program to end; then the lease runs out."""
MAP_REPEATS: Final = (0.25, 0.5, 1.0, 2.0)
"""Waits between repetitions of a NAT-PMP or PCP request (RFC 6886, 3.1; its further 60 s make no gateway talk)."""
MAP_SEARCHES: Final = (1.0, 2.0, 3.0)
"""Waits between repetitions of an SSDP search; what is asked may take its second (``MX``) to answer."""
MAP_HTTP_TIMEOUT: Final = 5.0
"""One request to a UPnP gateway; some are slow, but they are one cable away."""
MAP_MAX_PACKET: Final = 1100
"""Bytes of a NAT-PMP or PCP reply (RFC 6887, 7)."""
MAP_MAX_SSDP: Final = 2048
"""Bytes of an answer to an SSDP search; real ones take 300 to 500."""
MAP_MAX_XML: Final = 64 << 10
"""Bytes of a device description or a SOAP answer; real ones take up to 10 KiB."""
MAP_MAX_ELEMENTS: Final = 2000
"""Elements of one; real descriptions have about 150."""
MAP_MAX_DEPTH: Final = 32
"""Elements inside each other; real descriptions nest 10 deep."""
MAP_MAX_TEXT: Final = 1024
"""Characters of one element's text that are kept: URLs, types, addresses."""
MAP_MAX_LOCATIONS: Final = 4
"""Different descriptions of one gateway that are read; some have one for each version."""
MAP_MAX_SERVICES: Final = 4
"""Services of one description that are tried; some have a dead one for each kind of uplink."""
MAP_OTHER_PORTS: Final = 4
"""Other external ports that are tried where the wished one is somebody else's."""
MAX_ROUTES: Final = 1 << 20
"""Characters of the system's routing table that are read: some 8,000 routes, and the default one comes first."""
MAX_MULTICAST_INTERFACES: Final = 16
"""Interfaces on which a multicast group is joined; Linux allows 20 to a socket, and a machine full of containers has
hundreds that lead nowhere."""

# -- LSD --------------------------------------------------------------------------------------------------------------

LSD_MAX_PACKET: Final = 1400
"""Bytes of an announce (BEP 14), ours and others'."""
LSD_MAX_HASHES: Final = 32
"""Info-hashes read from one announce; 25 of ours fill a packet."""
LSD_MAX_COOKIE: Final = 64
"""Characters of a cookie that could be ours."""
LSD_INTERVAL: Final = 300.0
"""Seconds between announces of one torrent (BEP 14)."""
LSD_MIN_INTERVAL: Final = 60.0
"""Seconds until a torrent's second announce, for the first may have been lost; and the pace of announces once the burst
is used up (BEP 14: "no more than 1 announce per minute")."""
LSD_BURST: Final = 5
"""Announces that may be saved up, so that a torrent which is added is found at once and not within the minute."""
LSD_IN_RATE: Final = 10.0
"""Announces read per second, Transmission's value: what floods us costs no more than this."""
LSD_IN_BURST: Final = 50.0
"""Announces read in one go; in a class room all start together."""
LSD_HOST_INTERVAL: Final = 1.0
"""Seconds after which one sender has earned another announce ..."""
LSD_HOST_BURST: Final = 30.0
"""... and how many it may have saved up: some clients send one for each of their torrents."""
LSD_MAX_HOSTS: Final = 1024
"""Senders that are kept apart; the longest unheard is forgotten first."""

# -- swarm and session ------------------------------------------------------------------------------------------------

TICK: Final = 0.5
"""The session's one periodic task runs this often, for all torrents that have something to do."""
NAP: Final = 10.0
"""A torrent that has nothing to do is left alone so long, unless something happens to it."""
RESTART_PAUSE: Final = 0.5
"""Until a service that a bug of ours has ended is begun again: a bug that comes back each time must not spin."""
PEER_TICK: Final = 1.0
"""Time-outs and interest of each peer are looked at this often."""
HANDSHAKE_TIMEOUT: Final = 10.0
"""For the 68 bytes, either way. libtorrent and rain use 10 s; with 4 s about 1 % of good peers are lost."""
TURN_TIMEOUT: Final = 5.0
"""So long a torrent waits while others of the session greet the same peer. That takes a few round trips each, and
half a second where Transmission is asked, which reads twice a second; of one that is dead it takes long, and nobody
cares."""
CONNECT_TIMEOUT: Final = 15.0
"""For a TCP connection: libtorrent's value; behind it the system would wait two minutes."""
UTP_HEAD_START: Final = 1.0
"""So long uTP is the only attempt where it comes first: then its first packet, or the answer, was lost, or nobody there
speaks it."""
UTP_PATIENCE: Final = 3.0
"""So long a TCP connection that nobody answers is the only attempt; then uTP is tried beside it. Of those who can be
called, those who are 3 s away by TCP are few."""
KNOCKS: Final = 8
"""Addresses of a torrent without peers at which nobody answers, and that are called by UDP again and again ..."""
KNOCK_INTERVAL: Final = 20.0
"""... so often: routers forget what was sent from inside after 30 s, the quickest ..."""
KNOCK_FOR: Final = 900.0
"""... as long as somebody who should know has named them within this: the DHT is asked as often."""
KNOCK_TIMEOUT: Final = 5.0
"""For the answer: three packets."""
KNOCKS_AT_ONCE: Final = 8
"""Such calls under way, all torrents of a session: five packets a second."""
MAX_INTRODUCED: Final = 400
"""Addresses kept of those that one peer says to be connected to: so many peers hardly anybody has."""
PUNCHES_AT_ONCE: Final = 8
"""Calls under way because peers have said so (BEP 55), all torrents of a session: apart from all others, so that liars
take no seats from these."""
HOLEPUNCH_RELAYS: Final = 2
"""Peers that are asked to bring us together with one that nobody answers for: one of them may just have lost it."""
HOLEPUNCH_INTERVAL: Final = 60.0
HOLEPUNCH_MOST: Final = 30
"""Holepunch messages each way of one connection in a minute; more are not said, and not heard. Each makes somebody
call an address that another has named."""
MAX_PENDING_HANDSHAKES: Final = 250
"""Accepted connections that have not said hello; the oldest goes when there are more. Each costs a task (~10 KiB)."""
MSE_MAX_INITIAL: Final = 4096
"""Bytes that an encrypted handshake may bring along: the 68 of the one inside, and a bitfield if need be."""
MSE_PER_SECOND: Final = 50
"""Encrypted handshakes that are answered: each takes 1 ms of CPU before we know whether the caller knows a torrent."""
MSE_PER_SECOND_AND_IP: Final = 5
"""Of those, from one public address or IPv6 network (/64), so that it cannot use them up. When half of them are gone,
the rest is for those who have had none in this second."""
MAX_PENDING_PER_IP: Final = 8
"""Of those, from one public address: more than any NAT needs within a few seconds."""
PEER_IDLE_TIMEOUT: Final = 130.0
"""Nothing received, not even a keep-alive, which is due every two minutes (BEP 3); or one send under way for as long:
it does not read what it asks for."""
LAST_WORDS: Final = 1.0
"""For what waits to be sent to a peer that we part from as friends: the Haves of who has everything now. Who leaves a
session waits for it where somebody does not read."""
KEEP_ALIVE: Final = 100.0
"""Send one when nothing was sent for so long; a margin to the two minutes of BEP 3."""
NUDGE: Final = 5.0
"""The same to a peer that owes us blocks and has been silent for so long (a healthy queue is 3 s long). Where the other
end has lost the connection, its system answers with a reset; else nothing would be sent there until REQUEST_TIMEOUT."""
CHOKE_INTERVAL: Final = 10.0
"""BEP 3, "choking algorithm": "changing who's choked once every ten seconds"."""
QUOTA_PIECES: Final = 4
"""A seeding turn is worth so many whole pieces: shorter ones would leave half pieces everywhere."""
UPLOAD_BATCH_BLOCKS: Final = 32
"""Blocks in one sendmsg: 512 KiB."""
UPLOAD_BATCH_SECONDS: Final = 0.1
"""No more than this at the peer's own rate in one batch, so that Cancel and Choke still find its requests queued. With
0.25 a reader's first byte after a seek came from four busy seeds of 2.5 MiB/s in 0.31 s instead of 0.2."""
DOWNLOAD_BURST: Final = 1.5
"""Seconds of a download limit that may be saved up: with nothing under way requests wait for the next tick, and what
comes in until then (and a block that is not whole yet) must not be lost."""
READ_BUFFERS_KEPT: Final = 16
"""Batch buffers kept for the next upload: 8 MiB."""
SLOW_SHARE: Final = 10
"""A peer slower than the fastest by more than this factor shares pieces with its like, not with fast ones."""
MOST_IN_VAIN_ASKED: Final = 8
"""Idle peers that are looked at in vain before the rest wait for the next tick: each look costs 8 to 25
microseconds."""
WEB_SEEDS_AT_ONCE: Final = 8
"""Web seeds of a torrent that are fetched from at the same time; the others wait until one of these fails."""
WEB_SEED_CONNECTIONS: Final = 64
"""Connections to web seeds, all torrents together: each has a buffer of WEB_SEED_BUFFER."""
WEB_SEED_FIRST: Final = 1 << 20
"""Bytes of a range while it is not known how fast a web seed is (or one piece, where that is more)."""
WEB_SEED_RANGE: Final = 8 << 20
"""Bytes of the longest range: eight fit into the memory for pieces, so that what is being checked finds room too."""
WEB_SEED_LEAST: Final = 128 << 10
"""Bytes of the shortest range, where so many are needed: each is a line in somebody's log (BEP 19)."""
WEB_SEED_TIME: Final = 2.0
"""Seconds that a range takes at the web seed's rate: below STALLED_AFTER, or its last pieces would look abandoned."""
WEB_SEED_TURN: Final = 0.4
"""Seconds that a range must still take to be given up for what a reader waits for. A new connection takes three or four
round trips."""
WEB_SEED_BUFFER: Final = 256 << 10
"""Bytes that are received from a web seed in one go: what was best for peers is best here too."""
WEB_SEED_HEAD: Final = 30.0
"""Seconds for everything before the body: name, connection, TLS, redirects, the head of the answer."""
WEB_SEED_BLOCK: Final = 20.0
"""Seconds for each block of 16 KiB: who drips slower than 800 bytes a second is as good as silent."""
WEB_SEED_REST: Final = 5.0
"""Seconds that a connection to a web seed is kept while there is nothing to ask for."""
WEB_SEED_FORWARD: Final = 4
"""A server without ranges sends from the start. At most so many bytes are read in vain for one that is needed, unless
nothing comes from anywhere else."""
WEB_SEED_FILES: Final = 8
"""Files of a torrent that a web seed may not have before it sent anything: more, and it has none of them."""
WEB_SEED_GROW: Final = 60.0
"""Seconds after which a web seed that refused a connection is tried with one more again."""
WEB_SEED_RETRY: Final = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0)
"""Seconds until a web seed that failed is asked again, by how often in a row; the last for all that follow."""
WEB_SEED_LASTING: Final = 3
"""What seldom passes by itself (404, a file of another size) waits as after so many failures more."""
MAX_OUTBOX: Final = 2 << 20
"""Small messages that may wait for one peer: a Have for each of 100,000 pieces and as much again."""
OUTBOX_PART: Final = 16 << 10
"""Bytes of them in one send, so that what moves at all, if slowly, is seen to move."""
ANSWERS_AT_ONCE: Final = 32
"""Hash requests of one peer that are answered without a turn for others: of small files that takes 2 ms."""
MAX_EARLY_HAVES: Final = 20_000
"""Haves kept from a peer before the metadata says how many pieces there are."""
MAX_EARLY_BITFIELDS: Final = 8 << 20
"""Bytes of bitfields kept of all peers of a torrent before its metadata: 32 of the longest, some hundred usual ones.
Who comes with more is sent away; it can be called again."""
MAX_ALLOWED_FAST: Final = 100
"""Pieces that a peer may offer us while choked; BEP 6 suggests 10."""
MAX_UNWANTED_BLOCKS: Final = 512
"""Blocks that were never asked for, from one peer; cancelled ones that crossed on the way are far fewer."""
MAX_RENOUNCED: Final = 100
"""Times that a peer may have everything and then say that it lacks a piece (BEP 54): each costs a pass over all."""
MAX_REJECTS: Final = 50
"""Requests refused in a row without one block between them; libtorrent gives up after as many."""
MAX_METADATA_REQUESTS: Final = 4096
"""Pieces of metadata served on one connection: the largest info dictionary twice, which is enough for a retry."""
MAX_METADATA_QUEUED: Final = 256
"""Metadata requests of one peer that wait for their turn; anacrolix asks for all pieces at once, and this is 4 MiB."""
METADATA_PIECE: Final = 16 * 1024
"""BEP 9: "The metadata is handled in blocks of 16KiB", but for the last one."""
METADATA_PARALLEL: Final = 3
"""Peers asked for the metadata at once, each for the whole: a liar is then known for certain."""
METADATA_MEMORY: Final = 4 << 20
"""Bytes of metadata on their way from several peers at once; a larger copy has no other large one beside it."""
METADATA_REQUESTS: Final = 4
"""Metadata requests under way with one peer; libtorrent has 2, Transmission queues 64."""
METADATA_TIMEOUT: Final = 20.0
"""Without an answer to a metadata request the next peer is tried, this one again after as long."""
HASHES_OF_ONE: Final = 2048
"""Hashes of piece layers that one peer is asked for at once: four full requests ..."""
HASHES_LEAST: Final = 32
"""... and no more than 64 small ones, for each counts as so many. libtorrent has two requests under way; with 100,000
files of a few pieces that is half an hour of round trips."""
HASHES_IN_ALL: Final = 16_384
"""The same of all peers of a torrent: half a MiB. Above it each has a single request."""
HASHES_LATE: Final = 1.0
"""Hashes that do not come for so long are asked of another peer too, where there is nothing else to ask for."""
HASH_REFUSALS: Final = 64
"""Requests for hashes that a peer may refuse within METADATA_TIMEOUT, after which it is asked for the same again; with
so many it is asked for nothing else until then. Each answer makes up for one."""
MAX_HASH_REQUESTS: Final = 4096
"""Hash requests answered on one connection beside twice as many as it takes to have all layers."""
NAMES_AT_ONCE: Final = 4
"""Host names of peers in links, and of DHT nodes in .torrents, that are looked up at once. Each holds one of Trio's 40
threads for as long as name servers are silent, 10 to 30 s, and trackers have to be looked up meanwhile."""
HAND_NAMES_AT_ONCE: Final = 16
"""Host names of peers that a person named, likewise: they may be as many as he likes, and the others wait."""
MAX_NAMES_KEPT: Final = 256
"""Host names of one torrent's peers that are looked up again when they lead nowhere: the last ones. A program may name
another one every minute for a year."""
CHECKERS: Final = 2
"""Finished pieces of one torrent that are hashed and written side by side; more only waits for the disk."""
CHECK_BATCH: Final = 4 << 20
"""Finished pieces are hashed and written together up to so many bytes, when so many wait: about 6 milliseconds."""
COMMIT_INTERVAL: Final = 2.0
"""Seconds between syncs while data comes in: what a power cut can cost."""
DISK_RETRY: Final = 10.0
"""A full disk is tried again this often."""
LEAVE_TIMEOUT: Final = 5.0
"""Leaving a session takes no longer, but for a disk call that hangs; that is then named in the log, each so often."""
CALLS_AGAIN: Final = 3.0
"""A connection that is silent for so long makes way for another of the same peer from the same host: it has lost the
one that we still have. It calls again 5 s later (RETRY_USEFUL), we would notice after two minutes."""
SIMULTANEOUS: Final = 10.0
"""Two connections of a peer that are no further apart were dialled together: then both sides have to choose."""
SEATED: Final = 20.0
"""Seconds that a new peer has to become of use before it may have to make room for another."""
PEX_FIRST: Final = 10.0
"""Seconds until a new peer is first told about others: by then there is something to tell (rqbit waits as long)."""
PEX_INTERVAL: Final = 60.0
"""BEP 11: "no more than 1 PEX message per minute"."""
PEX_TOO_SOON: Final = 45.0
"""A peer's next message is ignored if it comes earlier: a margin for its clock (anacrolix has the same)."""
PEX_MOST: Final = 50
"""BEP 11: added and dropped "should not exceed 50 entries" each."""
MAX_EVENTS: Final = 1000
"""Events that wait for one reader of ``torrent.events()``."""
PROGRESS_INTERVAL: Final = 1.0
"""Between two Progress events."""
LOAD_DEADLINE: Final = 60.0
"""For a .torrent from a URL, redirects and all."""

# -- files over HTTP --------------------------------------------------------------------------------------------------

HTTP_FILES_CONNECTIONS: Final = 64
"""Connections that are answered at a time: a player opens two or three, and each may hold a quarter MiB."""
HTTP_FILES_IDLE: Final = 60.0
"""A connection without a request is closed after so long. One whose answer is not read may stay: a paused film."""
HTTP_FILES_REQUEST: Final = 16 << 10
"""Bytes of a request's head; also of what is sent ahead while an answer is under way."""
