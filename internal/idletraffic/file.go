package idletraffic

import (
	"encoding/binary"
	"io"
	"iter"
	"time"

	"wakefuzz/bench"
	"wakefuzz/capture"
)

// The devices of files that are made here.
var (
	// Speaker sends and receives, where directions are known.
	Speaker = address("02:00:00:00:00:01")
	// Nobody is both ends of every packet where they are not, as in a capture
	// whose addresses were taken out.
	Nobody = address("02:00:00:00:00:03")
)

// The ends of packets. The IP addresses are reserved for documentation.
var (
	speakerEnd = end{[6]byte{2, 0, 0, 0, 0, 1}, [4]byte{192, 168, 0, 10}}
	routerEnd  = end{[6]byte{2, 0, 0, 0, 0, 2}, [4]byte{203, 0, 113, 1}}
	nobodyEnd  = end{[6]byte{2, 0, 0, 0, 0, 3}, [4]byte{192, 0, 2, 1}}
)

type end struct {
	mac [6]byte
	ip  [4]byte
}

func address(s string) capture.Address {
	a, err := capture.ParseAddress(s)
	if err != nil {
		panic(err)
	}
	return a
}

// Epoch is when a file begins.
var Epoch = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// WriteFile writes packets as a capture file, headers only, to be read as
// traffic of Speaker or, without directions, of Nobody. Instants count from
// Epoch. At their beginning there is a packet of somebody else, so that times
// since the first packet are instants.
func WriteFile(w io.Writer, packets iter.Seq[bench.Packet]) error {
	out, err := capture.NewWriter(w, capture.LinkEthernet, capture.KeepHeaders, "")
	if err != nil {
		return err
	}
	if err := out.Write(frame(bench.Packet{Size: header}, routerEnd, routerEnd)); err != nil {
		return err
	}
	for p := range packets {
		from, to := speakerEnd, routerEnd
		switch p.Direction {
		case bench.Incoming:
			from, to = to, from
		case bench.DirectionUnknown:
			from, to = nobodyEnd, nobodyEnd
		}
		if err := out.Write(frame(p, from, to)); err != nil {
			return err
		}
	}
	return out.Flush()
}

// frame is a packet's headers: those of TCP where its size allows, else of UDP.
// What headers and payload don't account for is at the frame's end, as padding
// is.
func frame(p bench.Packet, from, to end) capture.Frame {
	const ethernet, ip, tcp, udp = 14, 20, 20, 8
	transport, protocol := tcp, byte(6)
	if p.Size-p.Payload < ethernet+ip+tcp {
		transport, protocol = udp, 17
	}
	headers := ethernet + ip + transport
	payload := max(0, min(int(p.Payload), int(p.Size)-headers))
	data := make([]byte, headers)
	copy(data, to.mac[:])
	copy(data[6:], from.mac[:])
	binary.BigEndian.PutUint16(data[12:], 0x0800) // IPv4
	h := data[ethernet:]
	h[0] = 4<<4 | ip/4
	binary.BigEndian.PutUint16(h[2:], uint16(ip+transport+payload))
	h[8], h[9] = 64, protocol
	copy(h[12:], from.ip[:])
	copy(h[16:], to.ip[:])
	if protocol == 6 {
		h[ip+12] = tcp / 4 << 4
	} else {
		binary.BigEndian.PutUint16(h[ip+4:], uint16(udp+payload))
	}
	return capture.Frame{
		Link: capture.LinkEthernet, Time: Epoch.Add(time.Duration(p.At)), Data: data,
		Length: max(int(p.Size), headers), Headers: headers,
	}
}
