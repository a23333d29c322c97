package capture

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/net/bpf"
)

// filter is the program that the kernel runs on every frame of an interface:
// it lets the device's through, or everybody's where there is none, and of
// those so many bytes.
func filter(link LinkType, device Address, bytes uint32) ([]bpf.RawInstruction, error) {
	var program []bpf.Instruction
	own, others := device.raw(), bpf.RetConstant{Val: 0}
	switch {
	case own == nil:
		if link == LinkRadiotap {
			program = radiotapData()
		}
		others.Val = bytes
	case link == LinkRadiotap:
		program = append(radiotapData(), match(4, own, bytes)...) // the receiver
		program = append(program, match(10, own, bytes)...)       // the transmitter
	case device.IsMAC():
		program = append(match(0, own, bytes), match(6, own, bytes)...)
	case device.kind == ip4:
		program = append(etherType(typeIPv4), match(14+12, own, bytes)...)
		program = append(program, match(14+16, own, bytes)...)
	default:
		program = append(etherType(typeIPv6), match(14+8, own, bytes)...)
		program = append(program, match(14+24, own, bytes)...)
	}
	program = append(program, others)
	raw, err := bpf.Assemble(program)
	if err != nil {
		return nil, fmt.Errorf("filter for %s on %s: %w", device, link, err)
	}
	return raw, nil
}

// match accepts the frame where it has the value at X+offset, and goes on to
// the next instruction where it has not.
func match(offset uint32, value []byte, bytes uint32) []bpf.Instruction {
	var program []bpf.Instruction
	left := (len(value)+3)/4*2 + 1
	for len(value) > 0 {
		load, want := bpf.LoadIndirect{Off: offset, Size: 4}, uint32(0)
		if len(value) >= 4 {
			want = binary.BigEndian.Uint32(value)
		} else {
			load.Size, want = 2, uint32(binary.BigEndian.Uint16(value))
		}
		left -= 2
		program = append(program, load,
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: want, SkipTrue: uint8(left)})
		offset += uint32(load.Size)
		value = value[load.Size:]
	}
	return append(program, bpf.RetConstant{Val: bytes})
}

// etherType goes on only for frames of the type, with X at 4 for a frame that
// still has its VLAN tag. The kernel takes off the outer one as a rule.
func etherType(want uint32) []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadConstant{Dst: bpf.RegX, Val: 0},
		bpf.LoadAbsolute{Off: 12, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: typeVLAN, SkipTrue: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: typeQinQ, SkipTrue: 1},
		bpf.LoadConstant{Dst: bpf.RegX, Val: 4},
		bpf.LoadIndirect{Off: 12, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: want, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
	}
}

// radiotapData goes on only for 802.11 frames that carry data, with X at the
// frame.
func radiotapData() []bpf.Instruction {
	return []bpf.Instruction{
		// The length of the radiotap header, little-endian.
		bpf.LoadAbsolute{Off: 3, Size: 1},
		bpf.ALUOpConstant{Op: bpf.ALUOpShiftLeft, Val: 8},
		bpf.TAX{},
		bpf.LoadAbsolute{Off: 2, Size: 1},
		bpf.ALUOpX{Op: bpf.ALUOpAdd},
		bpf.TAX{},
		bpf.LoadIndirect{Off: 0, Size: 1},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0x4f},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0x08, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
	}
}
