"""Chat templates, written by examples/tool/chat.h and by transformers: what differs.

    make templates [TEMPLATES="FOLDER ..."] [PYTHON=python3]

Templates are taken from the folders named, from GRPO_DATA and from the packages that this Python
has: files that end with .jinja, chat_template in JSON, literals of Python and C++. Each writes
every conversation below, on both sides. The status is 1 if anything differs. Without transformers
nothing is done, and it says so."""
import ast, ctypes, datetime, glob, itertools, json, os, re, subprocess, sys, tempfile

try:
    import tokenizers, transformers
    from transformers import PreTrainedTokenizerFast
    from transformers.utils import chat_template_utils
except ImportError as why:
    print("skipped: chat templates against transformers, which this Python does not have:", why)
    sys.exit(0)

CODE = r"""
#include "examples/tool/chat.h"
chat_template *template_open(const char *text, size_t n, char *error) {
    chat_template *t = (chat_template *)malloc(sizeof *t);
    if (t && chat_from_jinja(t, text, n, "<s>", "</s>", error)) return t;
    free(t);
    return NULL;
}
void template_close(chat_template *t) { chat_free(t); free(t); }
char *template_write(chat_template *t, const char *messages, const char *tools,
                     const char *variables, int generate, char *error) {
    chat_text out = { NULL, 0, 0 };
    chat_keep_day(t);
    t->tools = tools;
    t->variables = variables;
    if (chat_run(t, messages, generate, &out, error)) return out.text;
    chat_text_free(&out);
    return NULL;
}
void text_free(char *text) { free(text); }
"""

class Day:                                          # the one that chat_keep_day() has
    @staticmethod
    def now():
        return datetime.datetime(2024, 7, 26)

def say(role, content, **more):
    return {"role": role, "content": content, **more}

CALL = {"id": "call12345", "type": "function",
        "function": {"name": "weather", "arguments": {"place": "Zürich", "days": 3, "x": None}}}
TOOL = {"type": "function", "function": {
    "name": "weather", "description": "The weather \"there\" <now>.", "parameters": {
        "type": "object", "required": ["place"], "properties": {
            "place": {"type": "string", "description": "a town", "enum": ["Zürich", "Rome"]},
            "days": {"type": ["integer", "null"]}}}}}
SYSTEM = [None, "Be brief.", "", " \n Answer in <b>one</b> word. "]
TALKS = [
    [say("user", "What is 2+2?")],
    [say("user", "  blanks \t\n")],
    [say("user", "")],
    [say("user", "日本語 \U0001f600 é <|im_end|> & \"'\\ {{ x }}")],
    [say("user", [{"type": "text", "text": "in parts"}, {"type": "text", "text": " two"}])],
    [say("user", "2+2?"), say("assistant", "4"), say("user", "And 3+3?")],
    [say("user", "2+2?"), say("assistant", "<think>\nTwo.\n</think>\n\n4 "), say("user", "3+3?")],
    [say("user", "2+2?"), say("assistant", "4", reasoning_content="Two.", thinking="Two."),
     say("user", "3+3?"), say("assistant", "6", reasoning_content="Three.", thinking="Three.")],
    [say("user", "2+2?"), say("assistant", "4")],
    [say("user", "Weather?"), say("assistant", "", tool_calls=[CALL]),
     say("tool", "Sunny.", name="weather", tool_call_id="call12345")],
    [say("user", "Weather?"), say("assistant", "I look.", tool_calls=[CALL, CALL]),
     say("tool", "{\"sky\": \"clear\"}", name="weather", tool_call_id="call12345"),
     say("tool", "Rain.", name="weather", tool_call_id="call12345"),
     say("assistant", "Both."), say("user", "Thanks")],
    [say("user", "one"), say("user", "two")],
    [say("assistant", "first")],
    [say("developer", "Sums only."), say("user", "2+2?")],
    [say("user", "\n".join("line %d" % i for i in range(40)))],
]
THINKING = [{}, {"enable_thinking": False}, {"enable_thinking": True, "thinking": True}]

def conversations():
    for talk, system in itertools.product(TALKS, SYSTEM):
        messages = ([] if system is None else [say("system", system)]) + talk
        for tools, more, generate in itertools.product([None, [TOOL]], THINKING, [True, False]):
            if generate or not more:                # 15 x 4 x 2 x 4 = 480
                yield messages, tools, more, generate

def is_template(text):
    return "{%" in text and "messages" in text and "role" in text

def in_json(value):
    if isinstance(value, dict):
        for key, v in value.items():
            if isinstance(v, str) and is_template(v) and "template" in key: yield v
            else: yield from in_json(v)
    elif isinstance(value, list):
        for v in value: yield from in_json(v)

def joined(node):
    """A literal, or literals with + between them."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str): return node.value
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = joined(node.left), joined(node.right)
        return left + right if left is not None and right is not None else None

def in_python(node):
    text = joined(node)
    if text is not None:
        if is_template(text): yield text
        return
    for child in ast.iter_child_nodes(node): yield from in_python(child)

def in_cpp(text):
    for raw in re.finditer(r'R"(\w*)\((.*?)\)\1"', text, re.DOTALL): yield raw[2]
    for line in re.finditer(r'(?<!R)"(?:[^"\\\n]|\\.)*"', text): yield ast.literal_eval(line[0])

def templates_of(folder):
    for path in sorted(glob.glob(os.path.join(glob.escape(folder), "**", "*"), recursive=True)):
        ending = os.path.splitext(path)[1]
        if ending not in (".jinja", ".json", ".py", ".cpp") or not os.path.isfile(path): continue
        try:
            with open(path, encoding="utf-8", newline="" if ending == ".json" else None) as file:
                text = file.read()
            if not is_template(text): continue
            elif ending == ".jinja": found = [text]
            elif ending == ".cpp": found = filter(is_template, in_cpp(text))
            elif ending == ".json": found = in_json(json.loads(text))
            else: found = in_python(ast.parse(text))
            for template in found: yield path, template
        except (ValueError, SyntaxError, RecursionError, MemoryError): continue

def build():
    out = os.path.join(tempfile.mkdtemp(), "templates.so")
    subprocess.run([os.environ.get("CC") or "cc", "-std=c99", "-O2", "-I.", "-shared", "-fPIC",
                    "-x", "c", "-", "-o", out, "-lm"], input=CODE.encode(), check=True)
    library = ctypes.CDLL(out)
    library.template_open.restype = library.template_write.restype = ctypes.c_void_p
    library.template_close.argtypes = library.text_free.argtypes = [ctypes.c_void_p]
    library.template_write.argtypes = [ctypes.c_void_p] + 3 * [ctypes.c_char_p] + [
        ctypes.c_int, ctypes.c_char_p]
    return library

def main(folders):
    library, error, seen, total = build(), ctypes.create_string_buffer(4096), set(), [0, 0, 0, 0]
    silent = 0
    chat_template_utils.datetime = Day
    judge = PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer(tokenizers.models.BPE()), bos_token="<s>",
        eos_token="</s>")
    cases = [(m, t, v, g, json.dumps(m).encode(), json.dumps(t).encode() if t else None,
              json.dumps(v)[1:-1].encode() or None) for m, t, v, g in conversations()]
    print("transformers %s, %d conversations for each template" % (transformers.__version__,
                                                                   len(cases)))
    print("%7s %7s %7s  template" % ("equal", "refused", "differ"))
    for folder in folders:
        for path, template in templates_of(folder):
            if template in seen: continue
            seen.add(template)
            counts = [0, 0, 0]
            raw = template.encode("utf-8", "replace")
            ours = library.template_open(raw, ctypes.c_size_t(len(raw)), error)
            why = error.value
            for messages, tools, more, generate, m, t, v in cases:
                try:
                    theirs = judge.apply_chat_template(
                        messages, tools=tools, chat_template=template, tokenize=False,
                        add_generation_prompt=generate, **more).encode()
                except Exception as exception: theirs, reason = None, exception
                written = library.template_write(ours, m, t, v, generate, error) if ours else None
                text = ctypes.string_at(written) if written else None
                if written: library.text_free(written)
                elif ours: why = error.value
                kind = 2 if text != theirs else 1 if theirs is None else 0
                counts[kind] += 1
                if kind == 2 and counts[2] == 1:
                    print("  differs:", m.decode(), t and "tools", v, generate, "\n    here:",
                          text if text is not None else why, "\n    there:",
                          theirs if theirs is not None else repr(reason))
            if ours: library.template_close(ours)
            if counts[1] == len(cases): silent += 1
            else:
                total = [a + b for a, b in zip(total, [1] + counts)]
                print("%7d %7d %7d  %s" % (*counts, os.path.relpath(path, folder)), flush=True)
    print("%d templates: %d texts equal, %d refused by both, %d differ. %d others are refused "
          "always, by both" % (*total, silent))
    return total[0] == 0 or total[3] > 0

if __name__ == "__main__":
    data = os.environ.get("GRPO_DATA")
    sys.exit(main(sys.argv[1:] + ([data] if data else []) + [p for p in sys.path
                                                            if p.endswith("site-packages")]))
