package capture

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Live is a [Source] that captures on an interface.
type Live struct {
	ctx       context.Context
	name      string
	link      LinkType
	file      *os.File
	conn      syscall.RawConn
	ring      ring
	decoder   decoder
	frame     Frame
	stats     Stats
	err       error
	condition error // of the socket, found while waiting
	unhook    func() bool
}

// What the ring holds: at 10,000 packets/s, a second and a half of headers or
// half a second of whole frames. At a speaker's rates it is a minute.
const (
	// headerBytes is as much of a frame as leaves the kernel where only headers
	// are kept: enough for radiotap, IPv6 with extensions and TCP with options.
	headerBytes = 192
	headerSlot  = 512 // with what the kernel puts before a frame
	headerSlots = 16 << 10
	// wholeSlot holds a frame of an MTU of 1500. Longer ones are cut; their
	// sizes stay right.
	wholeSlot  = 2 << 10
	wholeSlots = 4 << 10
	wholeBytes = maxCaptured

	blockSize = 64 << 10 // the kernel's unit of allocation for the ring
)

// Listen captures the packets of the device on a network interface until the
// context ends: Next then returns the context's cause, at once, even on a
// silent wire. The device goes by its MAC address or, except in monitor mode,
// by an IP address; no device, the zero Address, means all of them. With
// KeepHeaders, the rest of a frame mostly stays in the
// kernel. It needs CAP_NET_RAW, and puts the interface into promiscuous mode
// while it lasts. The Live must be closed.
//
// Errors wrap ErrInterface, ErrDevice or os.ErrPermission where that is what
// is wrong.
func Listen(ctx context.Context, iface string, device Address, keep Keep) (*Live, error) {
	l, err := listen(ctx, iface, device, keep)
	if err != nil {
		return nil, fmt.Errorf("capture on %s: %w", iface, err)
	}
	return l, nil
}

func listen(ctx context.Context, iface string, device Address, keep Keep) (*Live, error) {
	ifi, err := net.InterfaceByName(iface)
	if err != nil {
		return nil, fmt.Errorf("%w: %w; \"ip link\" lists those there are", ErrInterface, err)
	}
	// A socket of no protocol receives nothing: nobody's packet gets in before
	// the filter is set.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if errors.Is(err, os.ErrPermission) {
		return nil, fmt.Errorf("%w; run it as root, or give the program the right: sudo setcap cap_net_raw+ep PROGRAM", err)
	}
	if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	file := os.NewFile(uintptr(fd), "packet socket on "+iface)
	l := &Live{ctx: ctx, name: iface, file: file, decoder: decoder{device: device}}
	if err := l.start(fd, ifi.Index, keep); err != nil {
		return nil, errors.Join(err, l.ring.unmap(), file.Close())
	}
	// Waiting ends with the context by way of a deadline long past. Setting it
	// fails only once the file is closed, when nobody waits.
	l.unhook = context.AfterFunc(ctx, func() { _ = file.SetReadDeadline(time.Unix(1, 0)) })
	return l, nil
}

// start makes the socket capture, last of all.
func (l *Live) start(fd, index int, keep Keep) error {
	var err error
	if l.conn, err = l.file.SyscallConn(); err != nil {
		return err
	}
	if l.link, err = linkOf(fd, index); err != nil {
		return err
	}
	if err := l.decoder.check(l.link); err != nil {
		return err
	}
	bytes, slot, slots := uint32(headerBytes), headerSlot, headerSlots
	if keep == KeepPayload {
		bytes, slot, slots = wholeBytes, wholeSlot, wholeSlots
	}
	program, err := filter(l.link, l.decoder.device, bytes)
	if err != nil {
		return err
	}
	if err := attach(fd, program); err != nil {
		return fmt.Errorf("set the filter: %w", err)
	}
	if l.ring, err = newRing(fd, slot, slots); err != nil {
		return fmt.Errorf("make room for %d packets: %w", slots, err)
	}
	membership := unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_PROMISC}
	if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &membership); err != nil {
		return fmt.Errorf("enter promiscuous mode: %w", err)
	}
	all := unix.SockaddrLinklayer{Ifindex: index, Protocol: networkOrder(unix.ETH_P_ALL)}
	if err := unix.Bind(fd, &all); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	return l.socketError(fd)
}

// linkOf ties the socket to the interface, without a protocol yet, and says
// what its frames begin with.
func linkOf(fd, index int) (LinkType, error) {
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: index}); err != nil {
		return 0, fmt.Errorf("bind: %w", err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return 0, fmt.Errorf("ask for the interface's type: %w", err)
	}
	address, _ := name.(*unix.SockaddrLinklayer)
	switch {
	case address != nil && address.Hatype == unix.ARPHRD_ETHER:
		return LinkEthernet, nil
	case address != nil && address.Hatype == unix.ARPHRD_IEEE80211_RADIOTAP:
		return LinkRadiotap, nil
	default:
		return 0, fmt.Errorf("%w: it is neither Ethernet (as a Wi-Fi access point's is too) nor in monitor mode", ErrInterface)
	}
}

func attach(fd int, program []bpf.RawInstruction) error {
	code := make([]unix.SockFilter, len(program))
	for i, in := range program {
		code[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]})
}

func networkOrder(v uint16) uint16 { return v<<8 | v>>8 }

// socketError fetches what the socket has to complain of, such as that the
// interface is down.
func (l *Live) socketError(fd int) error {
	code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err
	}
	switch code {
	case 0:
		return nil
	case int(unix.ENETDOWN), int(unix.ENXIO), int(unix.ENODEV):
		return fmt.Errorf("%w: it is down or gone; once it is up (\"ip link set %s up\"), listen again", ErrInterface, l.name)
	default:
		return unix.Errno(code)
	}
}

// Next waits for the next packet of the device.
func (l *Live) Next() (packet Packet, err error) {
	if l.decoder.others.take(&packet) {
		l.stats.Packets++
		return packet, nil
	}
	for l.err == nil {
		l.ring.release()
		if err := l.wait(); err != nil {
			l.err = fmt.Errorf("capture on %s: %w", l.name, err)
			break
		}
		var tagged bool
		l.frame, tagged = l.ring.take()
		l.frame.Link = l.link
		if !l.stats.count(l.decoder.decode(&l.frame, &packet)) {
			continue
		}
		if tagged {
			packet.Size += 4 // the kernel took the tag off
			l.decoder.others.waiting.Size += 4
		}
		return packet, nil
	}
	l.frame = Frame{}
	return Packet{}, l.err
}

// wait returns when the ring has a frame.
func (l *Live) wait() error {
	if l.ctx.Err() != nil {
		return context.Cause(l.ctx)
	}
	if l.ring.ready() {
		return nil
	}
	err := l.conn.Read(l.readable)
	switch {
	case l.ctx.Err() != nil:
		return context.Cause(l.ctx)
	case err != nil:
		return err
	default:
		return l.condition
	}
}

// readable is asked whenever something has happened at the socket.
func (l *Live) readable(fd uintptr) bool {
	if l.ring.ready() {
		return true
	}
	l.condition = l.socketError(int(fd))
	return l.condition != nil
}

// Frame returns the bytes of the packet that Next returned last.
func (l *Live) Frame() Frame { return l.frame }

// Link is what the frames of the interface begin with.
func (l *Live) Link() LinkType { return l.link }

// Stats counts what happened since Listen. Dropped is the kernel's count, of
// the device's packets alone, as it stands now.
func (l *Live) Stats() Stats {
	// The kernel counts from zero again each time it is asked. After Close it
	// can't be asked, and what was counted stands.
	_ = l.conn.Control(func(fd uintptr) {
		if s, err := unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
			l.stats.Dropped += uint64(s.Drops)
		}
	})
	return l.stats
}

// Close ends the capture. To end it from another goroutine, end the context.
func (l *Live) Close() error {
	if l.err == nil {
		l.err = fmt.Errorf("capture on %s: %w", l.name, os.ErrClosed)
	}
	l.unhook()
	l.frame = Frame{}
	return errors.Join(l.ring.unmap(), l.file.Close())
}

// ring is memory shared with the kernel: slots of equal size, each with a
// header (TPACKET_V2) that says whose turn it is.
type ring struct {
	memory []byte
	slot   int // bytes of a slot
	at     int // where the slot at hand begins
	taken  bool
}

func newRing(fd, slot, slots int) (ring, error) {
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V2); err != nil {
		return ring{}, err
	}
	request := unix.TpacketReq{
		Block_size: blockSize,
		Block_nr:   uint32(slot * slots / blockSize),
		Frame_size: uint32(slot),
		Frame_nr:   uint32(slots),
	}
	if err := unix.SetsockoptTpacketReq(fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &request); err != nil {
		return ring{}, err
	}
	memory, err := unix.Mmap(fd, 0, slot*slots, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	return ring{memory: memory, slot: slot}, err
}

func (r *ring) header() *unix.Tpacket2Hdr {
	return (*unix.Tpacket2Hdr)(unsafe.Pointer(&r.memory[r.at]))
}

// ready reports whether the slot at hand holds a frame.
func (r *ring) ready() bool {
	return atomic.LoadUint32(&r.header().Status)&unix.TP_STATUS_USER != 0
}

// take returns the frame in the slot at hand, and whether it had a VLAN tag.
func (r *ring) take() (f Frame, tagged bool) {
	r.taken = true
	h := r.header()
	begin := r.at + int(h.Mac)
	return Frame{
		Time:   time.Unix(int64(h.Sec), int64(h.Nsec)).UTC(),
		Data:   r.memory[begin : begin+int(h.Snaplen)],
		Length: int(h.Len),
	}, h.Status&unix.TP_STATUS_VLAN_VALID != 0
}

// release hands the slot that was taken back to the kernel.
func (r *ring) release() {
	if !r.taken {
		return
	}
	r.taken = false
	atomic.StoreUint32(&r.header().Status, unix.TP_STATUS_KERNEL)
	r.at = (r.at + r.slot) % len(r.memory)
}

func (r *ring) unmap() error {
	if r.memory == nil {
		return nil
	}
	memory := r.memory
	r.memory = nil
	return unix.Munmap(memory)
}
