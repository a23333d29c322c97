package capture

import (
	"encoding/binary"
	"time"
)

// Bits of an 802.11 frame control field, second byte.
const (
	wifiToDS      = 0x01
	wifiFromDS    = 0x02
	wifiRetry     = 0x08
	wifiProtected = 0x40
	wifiOrder     = 0x80
)

// decodeWiFi reads an 802.11 frame. Of a frame that is nobody's data, nothing
// is said but that.
func (d *decoder) decodeWiFi(f *Frame, packet *Packet) verdict {
	start, trailer := 0, 0
	if f.Link == LinkRadiotap {
		var ok bool
		if start, trailer, ok = radiotap(f.Data); !ok {
			return isForeign
		}
	}
	b := f.Data[start:]
	if len(b) < 24 {
		return isForeign
	}
	const data, noData, qos = 0x08, 0x40, 0x80
	control, flags := b[0], b[1]
	if control&0x0f != data || control&noData != 0 {
		return isForeign
	}

	receiver, transmitter := b[4:10], b[10:16]
	toDS, fromDS := flags&wifiToDS != 0, flags&wifiFromDS != 0
	header := 24
	from, to := transmitter, receiver
	if toDS {
		to = b[16:22]
	}
	if fromDS {
		from = b[16:22]
	}
	if toDS && fromDS {
		header = 30
		if len(b) < header {
			return isForeign
		}
		from = b[24:30]
	}
	tid, aggregate := byte(0xff), false
	if control&qos != 0 {
		if len(b) > header {
			tid, aggregate = b[header]&0x0f, b[header]&0x80 != 0
		}
		header += 2
		if flags&wifiOrder != 0 {
			header += 4
		}
	}

	// The device is one end of the hop on the air; from and to may be further.
	p := parsed{srcMAC: from, dstMAC: to}
	switch own := d.device.raw(); {
	case own == nil:
		p.hop = hop(toDS, fromDS)
	case string(own) == string(transmitter):
		p.srcMAC = transmitter
	case string(own) == string(receiver):
		p.dstMAC = receiver
	default:
		return isForeign
	}
	repeated := d.retries.repeats(transmitter, receiver, tid, binary.LittleEndian.Uint16(b[22:]), f.Time)
	if repeated && flags&wifiRetry != 0 {
		return isRetry
	}

	p.size = max(0, f.Length-start-trailer)
	body := max(0, p.size-header)
	switch {
	case flags&wifiProtected != 0:
		// The fourth byte of the cipher's header says whether it has eight
		// bytes, as all but WEP have.
		cipher := 8
		if len(b) > header+3 && b[header+3]&0x20 == 0 {
			cipher = 4
		}
		header += cipher
		p.payload = max(0, body-cipher)
	case !aggregate && len(b) >= header+8 && string(b[header:header+6]) == "\xaa\xaa\x03\x00\x00\x00":
		p.network(binary.BigEndian.Uint16(b[header+6:]), b, header+8)
		header = p.headers
	}
	p.headers = min(start+header, len(f.Data))
	return d.finish(f, &p, packet)
}

// hop is which way a frame went for that one of its ends that is heard here:
// the other is beyond the access point, and its hop is another frame. It is
// Unknown where a frame goes from end to end.
func hop(toDS, fromDS bool) Direction {
	switch {
	case toDS && !fromDS:
		return Outgoing
	case fromDS && !toDS:
		return Incoming
	default:
		return Unknown
	}
}

// radiotap returns the length of a radiotap header and that of the checksum at
// the frame's end, which the header tells. It is not ok where the header is
// damaged, or says that the frame is.
func radiotap(b []byte) (length, trailer int, ok bool) {
	if len(b) < 8 || b[0] != 0 {
		return 0, 0, false
	}
	length = int(binary.LittleEndian.Uint16(b[2:]))
	if length < 8 || length > len(b) {
		return 0, 0, false
	}
	const hasTime, hasFlags, more = 1 << 0, 1 << 1, 1 << 31
	present := binary.LittleEndian.Uint32(b[4:])
	at := 8
	for word := present; word&more != 0; at += 4 {
		if at+4 > length {
			return 0, 0, false
		}
		word = binary.LittleEndian.Uint32(b[at:])
	}
	if present&hasFlags == 0 {
		return length, 0, true
	}
	if present&hasTime != 0 {
		at = (at+7)&^7 + 8
	}
	if at >= length {
		return 0, 0, false
	}
	const checksum, badChecksum = 0x10, 0x40
	if b[at]&checksum != 0 {
		trailer = 4
	}
	return length, trailer, b[at]&badChecksum == 0
}

// retries remembers the frames last heard, to know a retry from a first try.
// Frames of a block are acknowledged together, so that a retry may come many
// frames after its first try; the number that both bear comes round again only
// after 4096 frames. A frame that falls out of the table is forgotten.
type retries [1024]heard

type heard struct {
	transmitter, receiver [6]byte
	tid                   byte
	sequence              uint16
	at                    time.Time
}

// retryWithin is longer than any radio goes on trying.
const retryWithin = time.Second

// repeats reports whether the frame was heard before, and remembers it.
func (r *retries) repeats(transmitter, receiver []byte, tid byte, sequence uint16, at time.Time) bool {
	h := heard{[6]byte(transmitter), [6]byte(receiver), tid, sequence, at}
	slot := uint32(sequence>>4) + uint32(tid)*89 + uint32(sequence&15)*257
	for i := range h.transmitter {
		slot += uint32(h.transmitter[i]^h.receiver[i]) * 31 << i
	}
	last := &r[slot%uint32(len(r))]
	age := at.Sub(last.at)
	h.at = last.at
	repeated := h == *last && age < retryWithin && age > -retryWithin
	h.at = at
	*last = h
	return repeated
}
