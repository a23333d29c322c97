"""A small text-to-speech server of the Wyoming protocol, for the driver's test.

It is built on the protocol's own library, from PyPI, and speaks by the programs
flite and espeak-ng. A real Piper needs voices of tens of megabytes.
"""

import argparse
import asyncio
import io
import wave

from wyoming.audio import AudioStart, AudioStop, wav_to_chunks
from wyoming.event import Event
from wyoming.info import Attribution, Describe, Info, TtsProgram, TtsVoice, TtsVoiceSpeaker
from wyoming.server import AsyncEventHandler, AsyncServer
from wyoming.tts import Synthesize

NOBODY = Attribution(name="", url="")


def voice(name, speakers=None):
    return TtsVoice(
        name=name,
        attribution=NOBODY,
        installed=True,
        description=None,
        languages=["en"],
        speakers=speakers and [TtsVoiceSpeaker(name=speaker) for speaker in speakers],
    )


INFO = Info(
    tts=[
        TtsProgram(
            name="two-programs",
            attribution=NOBODY,
            installed=True,
            description=None,
            voices=[voice("flite", ["kal16", "slt"]), voice("espeak-ng")],
        )
    ]
)


def command(wanted, text):
    if wanted.name == "espeak-ng":
        return ["espeak-ng", "-v", "en-us", "-b", "1", "--stdout", "--", text]
    return ["flite", "-voice", wanted.speaker, "-t", text, "-o", "/dev/stdout"]


class Handler(AsyncEventHandler):
    async def handle_event(self, event: Event) -> bool:
        if Describe.is_type(event.type):
            await self.write_event(INFO.event())
        elif Synthesize.is_type(event.type):
            await self.speak(Synthesize.from_event(event))
        return True

    async def speak(self, wanted: Synthesize) -> None:
        program = await asyncio.create_subprocess_exec(
            *command(wanted.voice, wanted.text), stdout=asyncio.subprocess.PIPE
        )
        output, _ = await program.communicate()
        with wave.open(io.BytesIO(output)) as sound:
            rate, width, channels = sound.getframerate(), sound.getsampwidth(), sound.getnchannels()
            await self.write_event(AudioStart(rate=rate, width=width, channels=channels).event())
            for chunk in wav_to_chunks(sound, samples_per_chunk=1024):
                await self.write_event(chunk.event())
        await self.write_event(AudioStop().event())


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--uri", required=True)
    await AsyncServer.from_uri(parser.parse_args().uri).run(Handler)


asyncio.run(main())
