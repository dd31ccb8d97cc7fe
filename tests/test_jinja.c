/* The language of chat templates. What is expected was written by jinja2 3.1.6, set up as
 * transformers 5.24 compiles a template (strftime_now: a Thursday in 2026), of the same variables;
 * what is refused jinja2 refuses too, but for the names that jinja.h says it does not understand.
 * Limits, hostile input and errors have their own checks. */
#include "examples/tool/jinja.h"
#include "check.h"

static char error[JSON_ERROR_LENGTH];

static const char variables[] =
    "{\"s\": \"Hello World\", \"e\": \"\", \"n\": 7, \"neg\": -3, \"f\": 2.5, \"t\": true, \"z\""
      ": null, \"l\": [3, 1, 2], \"names\": [\"b\", \"A\", \"c\", \"a\"], \"d\": {\"b\": 1, \"a"
      "\": \"x\", \"items\": \"own\", \"C\": null}, \"u\": \"h\xc3\xa9llo \xf0\x9f\x99\x82 \xe6"
      "\x97\xa5\", \"ms\": [{\"role\": \"user\", \"content\": \"hi\", \"n\": 1}, {\"role\": \"as"
      "sistant\", \"content\": null, \"n\": 2.0}, {\"role\": \"user\", \"content\": \" end \", "
      "\"tags\": [\"x\"], \"n\": 3}], \"nested\": {\"a\": {\"b\": [{\"c\": \"deep\"}]}}, \"q\": "
      "\"it's \\\"q\\\" \\\\ \\n\\t\xc2\xa0\x7f\", \"html\": \"<a href='x'>&</a>\", \"big\": 123"
      "45678901, \"fl\": [1.0, 1e+20, 1e-07, 0.1, -0.0, 100.0, 1e+16, 123456789012345.6]}";

static const struct { const char *jinja, *text; } written[] = {
    { "{{ '<b'|safe|list }} {{ d.get(x) }} {{ x in d }} {{ (1, 2) in d }} {{ -0.0 % 1 }} {{ 1 "
      "% -1.0 }}",
      "['<', 'b'] None False False 0.0 -0.0" },
    { "{{ ms|sort(attribute='zz')|map(attribute='n')|list }} {{ 2.0 ** 0.5 }} {{ 0 ** 0 }}",
      "[1, 2.0, 3] 1.4142135623730951 1" },
    { "{{ 1 }} {{ 1.0 }} {{ 1.5e3 }} {{ 1_000 }} {{ 'a' 'b' \"c\" }} {{ true }} {{ True }} {{ no"
      "ne }} {{ None }} {{ false }}",
      "1 1.0 1500.0 1000 abc True True None None False" },
    { "{{ [1, 'a', none, true, 2.5, \"it's\"] }} {{ (1,) }} {{ (1, 2) }} {{ () }} {{ {} }} {{ {'"
      "a': 1, 2: [3], 'b': {'c': 'd'}} }}",
      "[1, 'a', None, True, 2.5, \"it's\"] (1,) (1, 2) () {} {'a': 1, 2: [3], 'b': {'c': 'd'}}" },
    { "{{ '\\n\\t\\\\\\'\\\"\\x41\\u00e9\\U0001f642\\101\\q' }}",
      "\n\t\\'\"A\xc3\xa9\xf0\x9f\x99\x82""A\\q" },
    { "{{ d }} {{ ms }} {{ fl }} {{ q }} {{ [q, u] }}",
      "{'b': 1, 'a': 'x', 'items': 'own', 'C': None} [{'role': 'user', 'content': 'hi', 'n': 1"
      "}, {'role': 'assistant', 'content': None, 'n': 2.0}, {'role': 'user', 'content': ' end "
      "', 'tags': ['x'], 'n': 3}] [1.0, 1e+20, 1e-07, 0.1, -0.0, 100.0, 1e+16, 123456789012345"
      ".6] it's \"q\" \\ \n\t\xc2\xa0\x7f ['it\\'s \"q\" \\\\ \\n\\t\\xa0\\x7f', 'h\xc3\xa9llo"
      " \xf0\x9f\x99\x82 \xe6\x97\xa5']" },
    { "{{ s.upper() }} {{ s.lower() }} {{ s|title }} {{ 'aB cD-eF'|title }} {{ \"they're bill's"
      "\".title() }} {{ 'aBC dE'|capitalize }} {{ '\xc3\x80\xc3\x89\xc3\x8e stra\xc3\x9f""e'.low"
      "er() }} {{ '\xc3\xa0\xc3\xa9\xc3\xae\xc3\xb1'|upper }} {{ '\xd0\xbf\xd1\x80\xd0\xb8\xd0"
      "\xb2\xd0\xb5\xd1\x82'|capitalize }}",
      "HELLO WORLD hello world Hello World Ab Cd-Ef They'Re Bill'S Abc de \xc3\xa0\xc3\xa9\xc3"
      "\xae stra\xc3\x9f""e \xc3\x80\xc3\x89\xc3\x8e\xc3\x91 \xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2"
      "\xd0\xb5\xd1\x82" },
    { "{{ s[0] }} {{ s[-1] }} {{ s[2:5] }} {{ s[::-1] }} {{ s[:3] }} {{ s[6:] }} {{ s[-3:] }} {{"
      " s[1:9:3] }} {{ u[1] }} {{ u[6] }} {{ u[::-1] }} {{ u|length }} {{ s[50:60] }}|{{ s[99] }"
      "}",
      "H d llo dlroW olleH Hel World rld eoo \xc3\xa9 \xf0\x9f\x99\x82 \xe6\x97\xa5 \xf0\x9f"
      "\x99\x82 oll\xc3\xa9h 9 |" },
    { "{{ l[0] }} {{ l[-1] }} {{ l[1:] }} {{ l[::-1] }} {{ l[5] }}| {{ (1,2,3)[1:] }} {{ l[-10:2"
      "] }} {{ l[::2] }} {{ ms[0]['role'] }} {{ ms[0].role }} {{ nested.a.b[0].c }} {{ nested['a"
      "']['b'][0]['c'] }} {{ l.0 }} {{ ms.1.role }}",
      "3 2 [1, 2] [2, 1, 3] | (2, 3) [3, 1] [3, 2] user user deep deep 3 assistant" },
    { "{{ d['items'] }} {{ d.get('a') }} {{ d.get('zz') }} {{ d.get('zz', 5) }} {{ d.items() }} "
      "{{ d.keys() }} {{ d.values() }} {{ d.keys()|list }}",
      "own x None 5 dict_items([('b', 1), ('a', 'x'), ('items', 'own'), ('C', None)]) dict_key"
      "s(['b', 'a', 'items', 'C']) dict_values([1, 'x', 'own', None]) ['b', 'a', 'items', 'C']" },
    { "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}{% for k in d %}{{ k }},{% endfor "
      "%}{% for k, v in d|items %}{{ k }}:{{ v }} {% endfor %}{% for k, v in d|dictsort %}{{ k }"
      "}-{{ v }} {% endfor %}",
      "b=1;a=x;items=own;C=None;b,a,items,C,b:1 a:x items:own C:None a-x b-1 C-None items-own " },
    { "{{ 1 + 2 * 3 - 4 / 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 2 ** 10 }"
      "} {{ 2 ** -1 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 6 / 3 }} {{ 1 + true }} {{ -n }} {{ +n }"
      "} {{ 2 ** 3 ** 2 }} {{ -2 ** 2 }} {{ 10 % 3 }} {{ 5 - -5 }}",
      "5.0 3 -4 2 -2 1024 0.5 3.0 0.5 2.0 2 -7 7 64 4 1 10" },
    { "{{ 'a' + 'b' }} {{ 'a' ~ 1 ~ none ~ 2.0 ~ true ~ [1] }} {{ 'ab' * 3 }} {{ 3 * 'x' }} {{ ["
      "1] * 2 + [2] }} {{ (1,) + (2,) }} {{ 'x' * 0 }}|{{ 'x' * -1 }}",
      "ab a1None2.0True[1] ababab xxx [1, 1, 2] (1, 2) |" },
    { "{{ 1 < 2 }} {{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 2 >= 2 }} {{ 'a' < 'b' }} {{ [1,2] < [1,3]"
      " }} {{ 1 == 1.0 }} {{ true == 1 }} {{ 'a' != 'b' }} {{ [1] == [1] }} {{ (1,) == [1] }} {{"
      " d == d }} {{ none == none }} {{ none == false }} {{ 1 in [1.0] }} {{ 'ell' in s }} {{ 'a"
      "' in d }} {{ 3 not in l }} {{ not 'x' in s }} {{ undefined_a == undefined_b }}",
      "True True False True True True True True True True False True True False True True True"
      " False True True" },
    { "{{ 0 or 'x' }} {{ '' and 'x' }}| {{ 1 and 2 }} {{ 0 or '' or none }} {{ not none }} {{ no"
      "t [] }} {{ not {} }} {{ not 0.0 }} {{ not l }} {{ true and not false or false }} {{ (1 an"
      "d 2) == 2 }}",
      "x | 2 None True True True True False True True" },
    { "{{ 'y' if t else 'n' }} {{ 'y' if e else 'n' }} {{ 'y' if e }}| {{ 1 if 0 else 2 if 0 els"
      "e 3 }}",
      "y n | 3" },
    { "{{ x }}|{{ x is defined }} {{ x is undefined }} {{ x|default('d') }} {{ e|default('d') }}"
      " {{ e|default('d', true) }} {{ z|default('d') }} {{ z|d('d', boolean=true) }} {{ x|length"
      " }} {{ x|list }} {{ x|string }}| {{ x|join }}| {{ 'a' in x }} {{ x|upper }}| {{ x ~ 'a' }"
      "} {% for i in x %}no{% else %}empty{% endfor %} {{ x is none }} {{ x is string }} {{ x is"
      " iterable }} {{ x is sequence }} {{ x is mapping }} {{ x == '' }} {{ not x }} {{ [x] }} {"
      "{ x|first }}| {{ x|trim }}| {{ d.nope is defined }}",
      "|False True d  d None d 0 [] | | False | a empty False False True True False False True"
      " [Undefined] | | False" },
    { "{{ none.x }}|{{ none['x'] }}|{{ 5['x'] }}|{{ 5.x }}",
      "|||" },
    { "{{ l['a'] }}|{{ l.a }}|{{ d[0] }}|{{ s['x'] }}",
      "|||" },
    { "{{ s is string }} {{ n is string }} {{ n is number }} {{ f is number }} {{ t is number }}"
      " {{ t is boolean }} {{ 1 is boolean }} {{ n is integer }} {{ t is integer }} {{ f is floa"
      "t }} {{ d is mapping }} {{ l is mapping }} {{ l is iterable }} {{ n is iterable }} {{ l i"
      "s sequence }} {{ d is sequence }} {{ s is sequence }} {{ n is sequence }} {{ z is none }}"
      " {{ z is not none }} {{ t is true }} {{ 1 is true }} {{ false is false }} {{ n is odd }} "
      "{{ n is even }} {{ 6 is divisibleby 3 }} {{ 6 is divisibleby(4) }} {{ n is eq 7 }} {{ n i"
      "s equalto(7) }} {{ n is ne 7 }} {{ n is gt 3 }} {{ n is lt 3 }} {{ n is ge 7 }} {{ n is l"
      "e 6 }} {{ 1 is in l }} {{ 9 is not in l }} {{ s is defined and n is defined }} {{ range i"
      "s callable }} {{ s is callable }}",
      "True False True True True True False True False True True False True False True True Tr"
      "ue False True False True False True True False True False True True False True False Tr"
      "ue False True True True True False" },
    { "{{ s|length }} {{ l|count }} {{ d|length }} {{ s|trim('H') }} {{ '  a b  '|trim }}| {{ 'x"
      "xaxx'.strip('x') }} {{ 'xxaxx'.lstrip('x') }} {{ 'xxaxx'.rstrip('x') }} {{ 'abcba'.strip("
      "'ab') }} {{ ' a '.lstrip() }}| {{ ' a '.rstrip() }}| {{ '\\u00a0\\u3000a\\u2003'.strip() "
      "}}|",
      "11 3 4 ello World a b| a axx xxa c a |  a| a|" },
    { "{{ 'a,b,,c'.split(',') }} {{ ' a  b c '.split() }} {{ 'a b c d'.split(' ', 2) }} {{ ' a b"
      "  c d '.split(none, 2) }} {{ 'a,b,c'.rsplit(',', 1) }} {{ 'abc'.split('x') }} {{ ''.split"
      "(',') }} {{ ''.split() }} {{ ' a b c '.rsplit(none, 1) }} {{ 'a--b--c'.split('--')[-1] }}"
      " {{ 'a,b'.split(sep=',') }} {{ 'a\\nb\\r\\nc\\n\\nd'.splitlines() }} {{ 'a\\nb\\n'.splitl"
      "ines(true) }} {{ 'aXbXc'.split('X', maxsplit=1) }} {{ 'aaa'.split('aa') }} {{ 'aaa'.rspli"
      "t('aa') }}",
      "['a', 'b', '', 'c'] ['a', 'b', 'c'] ['a', 'b', 'c d'] ['a', 'b', 'c d '] ['a,b', 'c'] ["
      "'abc'] [''] [] [' a b', 'c'] c ['a', 'b'] ['a', 'b', 'c', '', 'd'] ['a\\n', 'b\\n'] ['a"
      "', 'bXc'] ['', 'a'] ['a', '']" },
    { "{{ s.startswith('Hell') }} {{ s.endswith('ld') }} {{ s.startswith(('x', 'H')) }} {{ s.end"
      "swith('x') }} {{ s.startswith('World', 6) }} {{ s.find('o') }} {{ s.find('zz') }} {{ s.rf"
      "ind('o') }} {{ s.find('o', 5) }} {{ s.index('W') }} {{ s.count('l') }} {{ s.count('') }} "
      "{{ u.find('\xe6\x97\xa5') }} {{ 'aXaXa'.replace('a', 'b', 2) }} {{ 'abc'.replace('', '-')"
      " }} {{ 'abc'.replace('b', '') }} {{ 'aaaa'.replace('aa', 'b') }} {{ s|replace('o', '0') }"
      "} {{ s|replace('o', '0', 1) }} {{ 5|replace(5, 6) }} {{ '\xc3\xa9'.replace('', '.') }} {{"
      " ''.replace('', 'x') }}",
      "True True True False True 4 -1 7 7 6 3 12 8 bXbXa -a-b-c- ac bb Hell0 W0rld Hell0 World"
      " 6 .\xc3\xa9. x" },
    { "{{ s.nope }}|{{ s.nope is defined }} {{ s.upper is defined }} {{ d.get is defined }} {{ l"
      ".append is defined or true }}",
      "|False True True True" },
    { "{{ 'prefix_x'.removeprefix('prefix_') }} {{ 'x.txt'.removesuffix('.txt') }} {{ ', '.join("
      "['a', 'b']) }} {{ '-'.join('abc') }}",
      "x x a, b a-b-c" },
    { "{{ l|join }} {{ l|join(', ') }} {{ ms|join('/', attribute='role') }} {{ ms|map(attribute="
      "'role')|join(',') }} {{ names|map('upper')|list }} {{ l|map('string')|join('+') }} {{ ms|"
      "map(attribute='tags', default='none')|list }} {{ ms|selectattr('tags', 'defined')|map(att"
      "ribute='tags.0')|list }} {{ names|map('replace', 'a', 'z')|list }} {{ none|map('upper')|l"
      "ist }} {{ 'abc'|join('.') }} {{ [1, none, true]|join(' ') }}",
      "312 3, 1, 2 user/assistant/user user,assistant,user ['B', 'A', 'C', 'A'] 3+1+2 ['none',"
      " 'none', ['x']] ['x'] ['b', 'A', 'c', 'z'] [] a.b.c 1 None True" },
    { "{{ ms|selectattr('role', 'equalto', 'user')|list|length }} {{ ms|rejectattr('role', 'eq',"
      " 'user')|map(attribute='n')|list }} {{ ms|selectattr('content')|map(attribute='content')|"
      "list }} {{ ms|selectattr('tags', 'defined')|list|length }} {{ l|select('odd')|list }} {{ "
      "l|reject('odd')|list }} {{ [0, 1, '', 'a', none]|select|list }} {{ [0, 1, '']|reject|list"
      " }} {{ l|select('gt', 1)|list }} {{ l|select('in', [1, 2])|list }} {{ (ms|selectattr('rol"
      "e', '==', 'user')|first).content }} {{ 'yes' if ms|selectattr('role', 'eq', 'nobody') els"
      "e 'no' }} {{ ms|selectattr('role', 'ne', 'user')|list|last|length }}",
      "2 [2.0] ['hi', ' end '] 1 [3, 1] [2] [1, 'a'] [0, ''] [3, 2] [1, 2] hi yes 3" },
    { "{{ l|first }} {{ l|last }} {{ s|first }} {{ s|last }} {{ []|first }}| {{ d|first }} {{ l|"
      "sort }} {{ names|sort }} {{ names|sort(case_sensitive=true) }} {{ l|sort(reverse=true) }}"
      " {{ ms|sort(attribute='n', reverse=true)|map(attribute='n')|list }} {{ l|min }} {{ l|max "
      "}} {{ names|min }} {{ names|unique|list }} {{ [1, 2, 1, 'A', 'a']|unique|list }} {{ l|sum"
      " }} {{ ms|sum(attribute='n') }} {{ []|sum }} {{ l|reverse|list }} {{ s|reverse }} {{ u|li"
      "st }} {{ d|list }} {{ l|list }} {{ []|max }}| {{ -3|abs }} {{ neg|abs }}",
      "3 2 H d | b [1, 2, 3] ['A', 'a', 'b', 'c'] ['A', 'a', 'b', 'c'] [3, 2, 1] [3, 2.0, 1] 1"
      " 3 A ['b', 'A', 'c'] [1, 2, 'A'] 6 6.0 0 [2, 1, 3] dlroW olleH ['h', '\xc3\xa9', 'l', '"
      "l', 'o', ' ', '\xf0\x9f\x99\x82', ' ', '\xe6\x97\xa5'] ['b', 'a', 'items', 'C'] [3, 1, "
      "2] | 3 3" },
    { "{{ d|dictsort }}",
      "[('a', 'x'), ('b', 1), ('C', None), ('items', 'own')]" },
    { "{{ {'b': 1, 'A': 2, 'c': 0}|dictsort }} {{ {'b': 1, 'A': 2, 'c': 0}|dictsort(true) }} {{ "
      "{'b': 1, 'A': 2, 'c': 0}|dictsort(by='value') }} {{ {'b': 1, 'A': 2, 'c': 0}|dictsort(fal"
      "se, 'key', true) }}",
      "[('A', 2), ('b', 1), ('c', 0)] [('A', 2), ('b', 1), ('c', 0)] [('c', 0), ('b', 1), ('A'"
      ", 2)] [('c', 0), ('b', 1), ('A', 2)]" },
    { "{{ '42'|int }} {{ '42.9'|int }} {{ 'x'|int }} {{ 'x'|int(-1) }} {{ 3.9|int }} {{ -3.9|int"
      " }} {{ true|int }} {{ none|int }} {{ '0x1f'|int(base=16) }} {{ ' 12 '|int }} {{ '1_0'|int"
      " }} {{ '3.5'|float }} {{ 'x'|float }} {{ 2|float }} {{ 'x'|float(1.5) }} {{ '1e3'|float }"
      "} {{ [1]|int }} {{ 2.5|round }} {{ 3.5|round }} {{ 2.675|round(2) }} {{ 2.4|round(0, 'cei"
      "l') }} {{ 2.6|round(0, 'floor') }} {{ 5|round }} {{ 1.25|round(1) }} {{ -2.5|round }} {{ "
      "42.55|round(1, 'floor') }}",
      "42 42 0 -1 3 -3 1 0 31 12 10 3.5 0.0 2.0 1.5 1000.0 0 2.0 4.0 2.67 3.0 2.0 5 1.2 -2.0 4"
      "2.5" },
    { "{{ 5|string + 'x' }} {{ true|string }} {{ none|string }} {{ 1.0|string }} {{ l|string }} "
      "{{ [1.0, 1e20, 1e-7, 1e16, 123456789012345.6] }}",
      "5x True None 1.0 [3, 1, 2] [1.0, 1e+20, 1e-07, 1e+16, 123456789012345.6]" },
    { "{{ d|tojson }} {{ q|tojson }} {{ u|tojson }} {{ u|tojson(ensure_ascii=true) }} {{ html|to"
      "json }} {{ fl|tojson }} {{ [1, [], {}, [2, {'a': ()}]]|tojson }} {{ none|tojson }} {{ tru"
      "e|tojson }} {{ {1: 2, true: 3, none: 4, 1.5: 5}|tojson }} {{ '\\u007f\\u2028\\x01\\x1f'|t"
      "ojson }} {{ d|tojson(sort_keys=true) if false }} {{ {'b': 1, 'a': 2}|tojson(sort_keys=tru"
      "e) }}",
      "{\"b\": 1, \"a\": \"x\", \"items\": \"own\", \"C\": null} \"it's \\\"q\\\" \\\\ \\n\\t"
      "\xc2\xa0\x7f\" \"h\xc3\xa9llo \xf0\x9f\x99\x82 \xe6\x97\xa5\" \"h\\u00e9llo \\ud83d\\ud"
      "e42 \\u65e5\" \"<a href='x'>&</a>\" [1.0, 1e+20, 1e-07, 0.1, -0.0, 100.0, 1e+16, 123456"
      "789012345.6] [1, [], {}, [2, {\"a\": []}]] null true {\"1\": 3, \"null\": 4, \"1.5\": 5"
      "} \"\x7f\xe2\x80\xa8\\u0001\\u001f\"  {\"a\": 2, \"b\": 1}" },
    { "{{ nested|tojson(indent=2) }} {{ []|tojson(indent=2) }} {{ {}|tojson(indent=4) }} {{ [1, "
      "[2, 3]]|tojson(indent=1) }} {{ {'a': 1}|tojson(separators=(',', ':')) }} {{ [1, 2]|tojson"
      "(indent=0) }} {{ [1]|tojson(indent='\\t') }} {{ {'a': [1]}|tojson(true, 2) }} {{ {'a': 1,"
      " 'b': 2}|tojson(indent=2, separators=(', ', '=')) }}",
      "{\n  \"a\": {\n    \"b\": [\n      {\n        \"c\": \"deep\"\n      }\n    ]\n  }\n} ["
      "] {} [\n 1,\n [\n  2,\n  3\n ]\n] {\"a\":1} [\n1,\n2\n] [\n\t1\n] {\n  \"a\": [\n    1"
      "\n  ]\n} {\n  \"a\"=1, \n  \"b\"=2\n}" },
    { "{{ range(5) }} {{ range(2, 5)|list }} {{ range(0, 10, 3)|list }} {{ range(5, 0, -2)|list "
      "}} {{ range(3)|length }} {{ range(0)|list }} {{ range(5)[1] }} {{ range(10)|last }} {{ 3 "
      "in range(5) }}",
      "range(0, 5) [2, 3, 4] [0, 3, 6, 9] [5, 3, 1] 3 [] 1 9 True" },
    { "{% set a = 1 %}{% set b, c = 2, 3 %}{{ a }}{{ b }}{{ c }}{% set (p, q2) = (4, 5) %}{{ p }"
      "}{{ q2 }}{% set tup = 1, 2 %}{{ tup }}{% set s2 = s ~ '!' %}{{ s2 }}",
      "12345(1, 2)Hello World!" },
    { "{% set a = 1 %}{% for i in l %}{% set a = a + i %}{{ a }},{% endfor %}{{ a }} {% if true "
      "%}{% set a = 9 %}{% endif %}{{ a }} {% if false %}{% set zz = 1 %}{% endif %}{{ zz is def"
      "ined }}",
      "4,2,3,1 9 False" },
    { "{% set ns = namespace(n=0, found=false, txt='') %}{% for i in l %}{% set ns.n = ns.n + i "
      "%}{% set ns.txt = ns.txt ~ i %}{% endfor %}{{ ns.n }} {{ ns.txt }} {{ ns.found }} {{ ns.n"
      "ope is defined }} {{ ns['n'] }}",
      "6 312 False False 6" },
    { "{% set ns = namespace({'a': 1}, b=2) %}{{ ns.a }}{{ ns.b }}",
      "12" },
    { "{% set x %}  block {{ n }} {% endset %}[{{ x }}]{% set y | trim | upper %}  fil {{ s }} {"
      "% endset %}[{{ y }}]{% set w %}{% set inner = 5 %}{% endset %}{{ inner is defined }}",
      "[  block 7 ][FIL HELLO WORLD]False" },
    { "{% for i in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{"
      "{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.previtem }}{{ loop"
      ".nextitem }}; {% endfor %}",
      "1032TrueFalse311; 2121FalseFalse3132; 3210FalseTrue311; " },
    { "{% for i in l if i > 1 %}{{ loop.index }}:{{ i }}/{{ loop.length }} {% else %}none{% endf"
      "or %}{% for i in [] %}x{% else %}nothing{% endfor %}{% for i in l if i > 5 %}x{% else %}f"
      "iltered{% endfor %}",
      "1:3/2 2:2/2 nothingfiltered" },
    { "{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}"
      "{% endif %}{{ i }}{% endfor %} {% for a in l %}{% for b in l %}{% if b == 1 %}{% break %}"
      "{% endif %}{{ a }}{{ b }} {% endfor %}{% endfor %}",
      "02 33 13 23 " },
    { "{% for a, b in [(1, 2), (3, 4)] %}{{ a }}-{{ b }} {% endfor %}{% for (a, b), c in [((1, 2"
      "), 3)] %}{{ a }}{{ b }}{{ c }}{% endfor %}{% for c in 'ab' %}{{ c }}.{% endfor %}{% for m"
      " in ms|reverse %}{{ m.n }} {% endfor %}{% for m in ms[::-1] %}{{ loop.last }}{% endfor %}"
      "{% for x in l|map('string') %}{{ loop.length }}{% endfor %}",
      "1-2 3-4 123a.b.3 2.0 1 FalseFalseTrue333" },
    { "{% set it = l|map('string') %}{{ it|list }}{{ it|list }}{{ it|length if false }}",
      "['3', '1', '2'][]" },
    { "{{ (l|map('string'))[0] }}|{{ l|map('string')|last if false }}",
      "|" },
    { "{% if n > 5 %}big{% elif n > 2 %}mid{% else %}small{% endif %} {% if e %}a{% elif z %}b{%"
      " else %}c{% endif %} {% if not e and n %}x{% endif %}{% if x %}{% else %}else{% endif %}",
      "big c xelse" },
    { "{% macro m(a, b=2, c=a) %}({{ a }},{{ b }},{{ c }}){% endmacro %}{{ m(1) }}{{ m(1, 3) }}{"
      "{ m(1, c=9) }}{{ m(b=5, a=4) }}{{ m() }}{{ m(1)|length }} {{ m('x') ~ 'y' }}",
      "(1,2,1)(1,3,1)(1,2,9)(4,5,4)(,2,)7 (x,2,x)y" },
    { "{% macro fact(n) %}{% if n <= 1 %}1{% else %}{{ n * fact(n - 1)|int }}{% endif %}{% endma"
      "cro %}{{ fact(10) }}",
      "3628800" },
    { "{% macro outer() %}[{{ caller('x') }}]{% endmacro %}{% call(v) outer() %}got {{ v }} {{ n"
      " }}{% endcall %}{% macro two(a) %}<{{ a }}{{ caller() }}>{% endmacro %}{% call two('q') %"
      "}body{% endcall %}",
      "[got x 7]<qbody>" },
    { "{% set late = 1 %}{% macro see() %}{{ late }}{% endmacro %}{% set late = 2 %}{{ see() }}{"
      "% for i in [1] %}{% set late = 3 %}{{ see() }}{% endfor %}",
      "22" },
    { "{% macro see() %}{{ loop is defined }}{% endmacro %}{% for i in [1] %}{{ see() }}{{ loop "
      "is defined }}{% endfor %}{{ loop is defined }}",
      "FalseTrueFalse" },
    { "{% macro f(x) %}{{ x.role }}{% endmacro %}{% set fs = {'a': f} %}{{ fs.a(ms[0]) }}{{ fs['"
      "a'](ms[1]) }}{% set g = f %}{{ g(ms[0]) }}{% set args = [ms[0]] %}{{ f(*args) }}",
      "userassistantuseruser" },
    { "{% if false %}{{ raise_exception('x') }}{% endif %}fine",
      "fine" },
    { "{{ strftime_now('%Y-%m-%d %H:%M:%S') }} {{ strftime_now('%d %b %Y') }} {{ strftime_now('%"
      "A, %B %d, %y %j %I %p %a %%') }} {{ strftime_now('%-d %F %T %e') }}",
      "2026-11-05 15:04:09 05 Nov 2026 Thursday, November 05, 26 309 03 PM Thu % 5 2026-11-05 "
      "15:04:09  5" },
    { "{{ dict(a=1, b=2) }} {{ dict({'a': 1}, b=2) }} {{ dict([('x', 1)]) }} {{ dict(d, a=5) }} "
      "{{ dict() }}",
      "{'a': 1, 'b': 2} {'a': 1, 'b': 2} {'x': 1} {'b': 1, 'a': 5, 'items': 'own', 'C': None} "
      "{}" },
    { "{{ '%s=%d' % ('a', 5) }} {{ '%s' % 'x' }} {{ '%05.2f|%5s|%-5s|%03d|%x|%%' % (3.14159, 'ab"
      "', 'cd', 7, 255) }} {{ '%s %s'|format('a', none) }} {{ '%r' % 'a' }} {{ '%02d' % n }} {{ "
      "'%s' % l }} {{ '%i' % 3.7 }} {{ '%+d' % 5 }} {{ '%e' % 12345.678 }} {{ '%.3s' % 'abcdef' "
      "}}",
      "a=5 x 03.14|   ab|cd   |007|ff|% a None 'a' 07 [3, 1, 2] 3 +5 1.234568e+04 abc" },
    { "{{ '{} {}'.format('a', 1) }} {{ '{1}{0}'.format('a', 'b') }} {{ '{x}!'.format(x='y') }} {"
      "{ '{{}}'.format() }}",
      "a 1 ba y! {}" },
    { "{{ '{:02d}|{i:d}|{x:5d}|{x:x}'.format(5, i=7, x=42) }} {{ '{0:.1f}{0:d}'.format(1) }}",
      "05|7|   42|2a 1.01" },
    { "{{ html|e }} {{ html|safe }} {{ (html|safe) + html }} {{ html + (html|safe) }} {{ (html|s"
      "afe) ~ html }} {{ html|escape|upper }} {{ (html|safe)|replace('a', '<') }} {{ (html|safe)"
      ".replace('x', '<') }} {{ (html|safe)[0:3] + '<' }} {{ (html|safe) is string }} {{ ['<'|sa"
      "fe] }} {{ '<'|safe|tojson }} {{ ('<'|safe)|trim + '<' }} {{ ('<'|safe) * 2 + '<' }} {{ ('"
      "<%s>'|safe) % '<' }} {{ ('<'|safe) == '<' }} {{ [html|safe]|join('<') }} {{ ('<'|safe).sp"
      "lit(',')[0] + '<' }} {{ ('<'|safe)|string + '>' }} {{ ('<'|safe)|lower + '>' }}",
      "&lt;a href=&#39;x&#39;&gt;&amp;&lt;/a&gt; <a href='x'>&</a> <a href='x'>&</a>&lt;a href"
      "=&#39;x&#39;&gt;&amp;&lt;/a&gt; &lt;a href=&#39;x&#39;&gt;&amp;&lt;/a&gt;<a href='x'>&<"
      "/a> <a href='x'>&</a><a href='x'>&</a> &LT;A HREF=&#39;X&#39;&GT;&AMP;&LT;/A&GT; << hre"
      "f='x'>&</<> <a href='&lt;'>&</a> <a &lt; True [Markup('<')] \"<\" <&lt; <<&lt; <&lt;> T"
      "rue <a href='x'>&</a> <&lt; <&gt; <&gt;" },
    { "{{ 'a\\nb\\n\\nc'|indent }} {{ 'a\\nb'|indent(2, true) }} {{ 'a\\n\\nb'|indent(2, blank=t"
      "rue) }} {{ 'a\\nb'|indent('> ') }} {{ 'a\\nb\\n'|indent(first=true) }}|",
      "a\n    b\n\n    c   a\n  b a\n  \n  b a\n> b     a\n    b\n|" },
    { "{% filter upper %}abc {{ s }}{% endfilter %}{% filter trim|replace('a', 'b') %} aaa {% en"
      "dfilter %}|",
      "ABC HELLO WORLDbbb|" },
    { "{% generation %}gen {{ s }}{% set gx = 1 %}{% endgeneration %}{{ gx is defined }}{% for i"
      " in l %}{% generation %}{{ loop.index }}{% endgeneration %}{% endfor %}",
      "gen Hello WorldFalse123" },
    { "{% raw %}{{ not }} {% if %}{% endraw %}|{%- raw -%}  x  {%- endraw -%}  y",
      "{{ not }} {% if %}|xy" },
    { "{# comment #}a{#- c -#} b {#- x #} c{# multi \n line #}d",
      "ab cd" },
    { "a  {%- if true %}  b  {%- endif %}  c  {%- if true -%}  d  {%- endif -%}  e",
      "a  b  cde" },
    { "{{- ' x ' -}}  y  {{ 'z' -}}   w {{- 'v' }} u",
      " x y  zwv u" },
    { "\n  {% if true %}\n    line\n  {% endif %}\nlast\n",
      "\n    line\nlast" },
    { "\n  {% if true %} tail\n  {%+ if true %}kept{% endif +%}\nnext {% endif %}\n",
      "\n tail\n  kept\nnext " },
    { "a\n\n  {#- c #}\n  {# c2 #}\nb{# c3 -#}\n  c",
      "abc" },
    { "{% for i in [1,2] %}\n  item {{ i }}\n{% endfor %}\nend\n",
      "  item 1\n  item 2\nend" },
    { "{% for i in [1,2] -%}\n  item {{ i }}\n{%- endfor %}\nend",
      "item 1item 2end" },
    { "text\n\t {% set x = 1 %}\n{{ x }}\n\n",
      "text\n1\n" },
    { "{{ {'a': {'b': 1}}['a']['b'] }} {{ {'a': [1, {'b': 2}]}.a[1].b }} {{ [[1, 2], [3]][0][1] "
      "}} {{ {'x': '}}'}['x'] }} {{ \"%}\" }} {{ '{{' }}",
      "1 2 2 }} %} {{" },
    { "{{ ms[0].content.upper().lower()|upper|replace('H', 'J') ~ 'x' }} {{ (ms|first).role }} {"
      "{ ms[-1]['content']|trim|length }} {{ (s|lower).split(' ')[0] }} {{ -(ms|length) }} {{ ms"
      "|length - 1 }} {{ not ms|length > 5 }} {{ n is defined and n > 5 or false }} {{ 'a' in ['"
      "a', 'b'] and 'x' not in 'abc' }}",
      "JIx user 3 hello -3 2 True True True" },
    { "{{ s is string and s|length > 3 }} {{ (n if n > 3 else 0) + 1 }} {{ l + [4] }} {{ d.a ~ d"
      "['b'] }} {{ 'b' ~ ('c' if true else 'd') }} {{ 1 if x is not defined else 2 }}",
      "True 8 [3, 1, 2, 4] x1 bc 1" },
    { "{{ q }}{{ [q] }}{{ ['\\x00\\x1f\\u200b\\ue000\\U000e0001', \"'\", '\"', '\\'\"'] }}",
      "it's \"q\" \\ \n\t\xc2\xa0\x7f['it\\'s \"q\" \\\\ \\n\\t\\xa0\\x7f']['\\x00\\x1f\\u200b"
      "\\ue000\\U000e0001', \"'\", '\"', '\\'\"']" },
    { "{% if false %}{{ s | nofilter }}{% endif %}ok",
      "ok" },
    { "{{ (s | nofilter) if false else 'ok' }}",
      "ok" },
    { "{{ s.__class__ }}",
      "" },
    { "{% macro m() %}{% endmacro %}{{ m.__code__ }}",
      "" },
    { "{{ 'a' is in 'abc' }} {{ 1 is in [1] }} {{ n is not divisibleby 2 }} {{ not n is odd }}",
      "True True True False" },
    { "{{ big }} {{ big * big if false }} {{ 9007199254740993 }} {{ 1e400 if false }} {{ 0.1 + 0"
      ".2 }} {{ 1e16 }} {{ 1e15 }} {{ 1.0e-4 }} {{ 0.00001 }} {{ 100 * 1.1 }} {{ 3.0 }} {{ 1/3 }"
      "}",
      "12345678901  9007199254740993  0.30000000000000004 1e+16 1000000000000000.0 0.0001 1e-0"
      "5 110.00000000000001 3.0 0.3333333333333333" },
    { "{{ l|join(d=', ') }} {{ s|replace(old='o', new='a') }} {{ x|default(default_value='q') }}"
      " {{ s|trim(chars='Hd') }}",
      "3, 1, 2 Hella Warld q ello Worl" },
    { "{{ u.upper() }} {{ '\xc3\xb1""and\xc3\xba'.capitalize() }} {{ '\xe6\x97\xa5\xe6\x9c\xac'."
      "upper() }} {{ '\xce\x91\xce\x92\xce\x93'|lower }} {{ '\xc7\x85' }}",
      "H\xc3\x89LLO \xf0\x9f\x99\x82 \xe6\x97\xa5 \xc3\x91""and\xc3\xba \xe6\x97\xa5\xe6\x9c"
      "\xac \xce\xb1\xce\xb2\xce\xb3 \xc7\x85" },
    { "{% set a = {'k': []} %}{% set a2 = dict(a, k=a.k + [1]) %}{{ a }}{{ a2 }}",
      "{'k': []}{'k': [1]}" },
    { "{{ (ms|map(attribute='role')|list)[0] }} {{ ms|map(attribute='role')|unique|join(',') }} "
      "{{ ms|map(attribute='content')|select('string')|map('trim')|join('|') }} {{ ms|selectattr"
      "('content', 'string')|map(attribute='content')|map('length')|sum }}",
      "user user,assistant hi|end 7" },
    { "{{ [1, 2, 3].index(2) }} {{ [1, 1].count(1) }} {{ (1, 2).index(2) }} {{ 'abc'.index('c') "
      "}}",
      "1 2 1 2" },
    { "{% for i in l %}{% set outer = loop %}{% for k in l %}{{ outer.index }}{{ loop.index }} {"
      "% endfor %}{% endfor %}",
      "11 12 13 21 22 23 31 32 33 " },
    { "{% for x in l %}{% if loop.first %}F{% endif %}{% if not loop.last %}, {% endif %}{% if l"
      "oop.previtem is defined %}p{% endif %}{% if loop.nextitem is undefined %}n{% endif %}{% e"
      "ndfor %}",
      "F, , ppn" },
    { "{% if loop_messages is defined and loop_messages[0]['role'] %}{% endif %}{{ (ms[5].role i"
      "s defined) if ms[5] else 'no' }}",
      "no" },
    { "{{ 1.2.3 }}",
      "" },
    { "{{ l[1.5] }}|",
      "|" },
    { "{{ l[true] }} {{ d.a[0] }} {{ s[n] }} {{ s[-n] }}",
      "1 x o o" },
    { "{{ l[none:2] }} {{ l[0:none] }} {{ s[e:] if false }} {{ l[0:0:1] }}",
      "[3, 1] [3, 1, 2]  []" },
    { "{{ d|items|list }} {{ x|items|list }}",
      "[('b', 1), ('a', 'x'), ('items', 'own'), ('C', None)] []" },
    { "{{ s|min }} {{ s|sort }} {{ 'bca'|sort|join }} {{ d|sort }}",
      "  [' ', 'd', 'e', 'H', 'l', 'l', 'l', 'o', 'o', 'r', 'W'] abc ['a', 'b', 'C', 'items']" },
    { "{{ (1, 2) is sequence }} {{ range(2) is sequence }} {{ d.items() is iterable }} {{ d.item"
      "s() is sequence }} {{ d.keys() is mapping }} {{ l|map('string') is iterable }} {{ l|map('"
      "string') is sequence }} {{ d.items()|length }} {{ 'a' in d.keys() }} {{ 1 in d.values() }"
      "} {{ ('a', 'x') in d.items() }} {{ 'yes' if {}.items() else 'no' }} {{ d.keys()|first }} "
      "{{ d.items()|list|length }}",
      "True True True False False True False 4 True True True no b 4" },
    { "{{ d.keys()[0] }}|",
      "|" },
    { "{% set ns = namespace(a=1) %}{% set ns.b = ns %}{{ ns.b.b.a }}",
      "1" },
    { "{% set x = [] %}{% for i in range(150) %}{% set x = [x] %}{% endfor %}{{ x }}",
      "[]" },
    { "{% macro wrap(x) %}{{ x }}{% endmacro %}{{ wrap(l) }} {{ wrap(none) }} {{ wrap({'a': 1}) "
      "}} {{ wrap(1.0) + '!' }}",
      "[3, 1, 2] None {'a': 1} 1.0!" },
    { "{{ [] is sequence and [] is not string }} {{ '' is string }} {{ 'content' in ms[0] and ms"
      "[0]['content'] is not none }}",
      "True True True" },
    { "{{ 'a' if ms[0].content == 'hi' and (ms[0].role == 'user' or false) else 'b' }}{{ (ms[0]."
      "role == 'user') != (0 % 2 == 0) }}",
      "aFalse" },
};

static const struct { const char *jinja, *why; } refused[] = {
    { "{{ dict(x) }}", "line 1, column 8: 'x' is undefined" },
    { "{{ 'a'.strip(x) }}", "line 1, column 13: 'x' is undefined" },
    { "{{ l in d }}", "line 1, column 6: a value of type list cannot be the key of a dict" },
    { "{{ 0 ** -1 }}", "line 1, column 6: a power without a value" },
    { "{{ -3 ** 2.5 }}", "line 1, column 7: a power without a value" },
    { "{{ ms|sort(attribute='n,role') }}",
      "line 1, column 7: sort by several attributes is not understood here" },
    { "{{ x.y }}",
      "line 1, column 5: 'x' is undefined" },
    { "{{ d.nope.deeper }}",
      "line 1, column 10: 'nope' is undefined" },
    { "{{ x + 1 }}",
      "line 1, column 6: 'x' is undefined" },
    { "{{ x() }}",
      "line 1, column 5: 'x' is undefined" },
    { "{{ s() }}",
      "line 1, column 5: a str cannot be called" },
    { "{{ x|tojson }}",
      "line 1, column 6: a value of type Undefined cannot be made JSON" },
    { "{{ none + 1 }}",
      "line 1, column 9: NoneType and int cannot be combined like this" },
    { "{{ 'a' + 1 }}",
      "line 1, column 8: str and int cannot be combined like this" },
    { "{{ none|length }}",
      "line 1, column 9: a value of type NoneType has no length" },
    { "{% for i in none %}{% endfor %}",
      "line 1, column 4: a value of type NoneType cannot be gone through" },
    { "{{ z.x.y }}",
      "line 1, column 7: 'x' is undefined" },
    { "{{ 1 / 0 }}",
      "line 1, column 6: a division by zero" },
    { "{{ 1 < 'a' }}",
      "line 1, column 6: int and str have no order" },
    { "{{ [1] < 2 }}",
      "line 1, column 8: list and int have no order" },
    { "{{ {[1]: 2} }}",
      "line 1, column 5: a value of type list cannot be the key of a dict" },
    { "{{ s.split('') }}",
      "line 1, column 11: an empty separator" },
    { "{{ s.index('zz') }}",
      "line 1, column 11: index(): the text is not in it" },
    { "{{ s.nope() }}",
      "line 1, column 10: 'nope' is undefined" },
    { "{{ l.append(4) }}",
      "line 1, column 12: append() is not understood here, or would change a value" },
    { "{{ d.update({'a': 2}) }}",
      "line 1, column 12: update() is not understood here, or would change a value" },
    { "{{ d.pop('a') }}",
      "line 1, column 9: pop() is not understood here, or would change a value" },
    { "{{ s.isalpha() }}",
      "line 1, column 13: isalpha() is not understood here, or would change a value" },
    { "{{ ', '.join([1]) }}",
      "line 1, column 13: a string should stand here, not a int" },
    { "{{ range(3)|tojson }}",
      "line 1, column 13: a value of type range cannot be made JSON" },
    { "{{ l|map('string')|tojson }}",
      "line 1, column 20: a value of type iterator cannot be made JSON" },
    { "{{ d.items()|tojson }}",
      "line 1, column 14: a value of type dict view cannot be made JSON" },
    { "{{ range(200000)|length }}",
      "line 1, column 9: a range of more than 100000 numbers is not allowed" },
    { "{% set d.x = 1 %}",
      "line 1, column 9: only what is in a namespace can be set like this" },
    { "{% set ns = namespace() %}{% set ns._x = 1 %}",
      "line 1, column 36: only what is in a namespace can be set like this" },
    { "{% for a, b in [(1, 2, 3)] %}{% endfor %}",
      "line 1, column 8: 3 values cannot be given to 2 names" },
    { "{% for a, b in [1] %}{% endfor %}",
      "line 1, column 8: a value of type int cannot be gone through" },
    { "{% for i in l recursive %}{{ i }}{% endfor %}",
      "line 1, column 15: recursive loops are not understood here" },
    { "{{ l|map('string')|length }}",
      "line 1, column 20: a value of type iterator has no length" },
    { "{{ l|reverse|last }}",
      "line 1, column 14: an iterator has no last item" },
    { "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}",
      "line 1, column 42: the macro m takes no such arguments" },
    { "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}",
      "line 1, column 42: the macro m takes no such arguments" },
    { "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, a=2) }}",
      "line 1, column 42: an argument is given twice" },
    { "{% macro deep(x) %}{{ deep(x) }}{% endmacro %}{{ deep(1) }}",
      "line 1, column 23: the chat template calls itself too deep" },
    { "{{ raise_exception('No ' ~ s ~ '!') }}",
      "line 1, column 19: the chat template says: No Hello World!" },
    { "{{ '%s %s' % 'a' }}",
      "line 1, column 12: a format has more % than values" },
    { "{{ '%s' % ('a', 'b') }}",
      "line 1, column 9: a format has more values than %" },
    { "{{ '%d' % 'a' }}",
      "line 1, column 9: a format and its value do not fit" },
    { "{{ '{:>5}'.format(1) }}",
      "line 1, column 18: a format that is not understood here" },
    { "{{ '{:}'.format(1) }}",
      "line 1, column 16: a format that is not understood here" },
    { "{{ '{}{0}'.format(1) }}",
      "line 1, column 18: a format that is not understood here" },
    { "{{ '{x}'.format(1) }}",
      "line 1, column 16: a format that is not understood here" },
    { "{{ '{'.format(1) }}",
      "line 1, column 14: a format that is not understood here" },
    { "{{ '{} {}'.format('a') }}",
      "line 1, column 18: a format that is not understood here" },
    { "{{ s | nofilter }}",
      "line 1, column 8: there is no filter nofilter" },
    { "{% if true %}{{ s | nofilter }}{% endif %}",
      "line 1, column 21: there is no filter nofilter" },
    { "{% if false %}{% for i in l %}{{ i | nofilter }}{% endfor %}{% endif %}",
      "line 1, column 38: there is no filter nofilter" },
    { "{{ s is notest }}",
      "line 1, column 9: there is no test notest" },
    { "{% if x is notest %}{% endif %}",
      "line 1, column 12: there is no test notest" },
    { "{% if %}{% endif %}",
      "line 1, column 7: an expression should stand here" },
    { "{% for %}{% endfor %}",
      "line 1, column 8: a name should stand here" },
    { "{% endif %}",
      "line 1, column 4: the statement endif is not understood here" },
    { "{% if true %}",
      "line 1, column 4: this does not end: elif else endif is missing" },
    { "{% unknown %}",
      "line 1, column 4: the statement unknown is not understood here" },
    { "{{ 'a",
      "line 1, column 4: a string that does not end" },
    { "{{ a b }}",
      "line 1, column 6: this is not expected here" },
    { "{{ (1 }}",
      "line 1, column 7: a ')' is missing" },
    { "{{ 1 + }}",
      "line 1, column 8: an expression should stand here" },
    { "{{ }}",
      "line 1, column 4: an expression should stand here" },
    { "{% set %}",
      "line 1, column 8: a name should stand here" },
    { "{% set 1 = 2 %}",
      "line 1, column 8: a name should stand here" },
    { "{% set true = 2 %}",
      "line 1, column 13: this cannot be set" },
    { "{% break %}",
      "line 1, column 4: this is in no loop" },
    { "{% for i in l %}{% generation %}{% break %}{% endgeneration %}{% endfor %}",
      "line 1, column 36: this is in no loop" },
    { "{# not closed",
      "line 1, column 1: a comment that does not end" },
    { "{{ f(a=1, 2) }}",
      "line 1, column 11: an argument without a name after one with a name" },
    { "{{ f(**d) }}",
      "line 1, column 6: arguments by ** are not understood here" },
    { "{{ ''.__class__.__mro__ }}",
      "line 1, column 16: '__class__' is undefined" },
    { "{{ l is mapping is true }}",
      "line 1, column 17: tests cannot follow each other" },
    { "{{ s|replace('a') }}",
      "line 1, column 6: replace needs more arguments" },
    { "{{ s|upper(1) }}",
      "line 1, column 6: upper takes no such arguments" },
    { "{{ l|first(2) }}",
      "line 1, column 6: first takes no such arguments" },
    { "{{ d.get() }}",
      "line 1, column 9: get needs more arguments" },
    { "{{ [1].index(5) }}",
      "line 1, column 13: index(): the value is not in the list" },
    { "{% include 'x' %}",
      "line 1, column 4: the statement include is not understood here" },
    { "{% import 'x' as y %}",
      "line 1, column 4: the statement import is not understood here" },
    { "{% extends 'x' %}",
      "line 1, column 4: the statement extends is not understood here" },
    { "{% block b %}{% endblock %}",
      "line 1, column 4: the statement block is not understood here" },
    { "{% do x %}",
      "line 1, column 4: the statement do is not understood here" },
    { "{% with a = 1 %}{{ a }}{% endwith %}",
      "line 1, column 4: the statement with is not understood here" },
    { "{% autoescape true %}{% endautoescape %}",
      "line 1, column 4: the statement autoescape is not understood here" },
    { "{{ s|xmlattr }}",
      "line 1, column 6: the filter xmlattr is not understood here" },
    { "{{ l|batch(2)|list }}",
      "line 1, column 6: the filter batch is not understood here" },
    { "{{ ms[5].role }}",
      "line 1, column 9: 'that item' is undefined" },
    { "{{ 08 }}",
      "line 1, column 4: a number that is not understood here" },
    { "{{ 'a'.b.c }}",
      "line 1, column 9: 'b' is undefined" },
    { "{{ \"\\ud83d\" }}",
      "line 1, column 4: an escape in a string that stands for no character" },
    { "{{ '\\N{DASH}' if false }}",
      "line 1, column 4: \\N{...} is not understood here: write \\u...." },
    { "{{ 10 is divisibleby 0 }}",
      "line 1, column 10: a division by zero" },
    { "{{ l[::0] }}",
      "line 1, column 5: a slice's step is 0" },
    { "{{ d[1:2] }}",
      "line 1, column 5: a dict has no slices" },
    { "{{ z[1:] }}",
      "line 1, column 5: a NoneType has no slices" },
    { "{{ x[1:] }}",
      "line 1, column 5: 'x' is undefined" },
    { "{{ x[0] }}",
      "line 1, column 5: 'x' is undefined" },
    { "{{ 5|items|list }}",
      "line 1, column 6: items of what is no dict" },
    { "{{ [1, 'a']|sort }}",
      "line 1, column 13: str and int have no order" },
    { "{{ 5 is sameas 5 }}",
      "line 1, column 9: the test sameas is not understood here" },
};

static char *copy_of(const char *text) {
    char *copy = (char *)malloc(strlen(text) + 1);
    if (copy) strcpy(copy, text);
    return copy;
}

/* The text that a template writes, from malloc; NULL: error says why. */
static char *rendered(const char *text, size_t length, const char *input,
                      const jinja_limits *limits) {
    jinja_limits with;
    struct tm now;
    json parsed;
    jinja *t = jinja_parse(text, length, error);
    char *out = NULL;
    size_t n = 0;
    memset(&now, 0, sizeof now);
    now.tm_year = 126;
    now.tm_mon = 10;
    now.tm_mday = 5;
    now.tm_hour = 15;
    now.tm_min = 4;
    now.tm_sec = 9;
    now.tm_wday = 4;
    now.tm_yday = 308;
    memset(&with, 0, sizeof with);
    if (limits) with = *limits;
    with.now = &now;
    if (!t) return NULL;
    CHECK(json_parse(&parsed, copy_of(input), strlen(input), NULL, error), "%s", error);
    out = jinja_render(t, parsed.values, &with, &n, error);
    CHECK(!out || strlen(out) == n, "%s: %lu bytes", text, (unsigned long)n);
    json_free(&parsed);
    jinja_free(t);
    return out;
}

static void writes(const char *text, const char *input, const char *expected) {
    char *out = rendered(text, strlen(text), input, NULL);
    CHECK(out && strcmp(out, expected) == 0, "%s\nwrites %s\nnot    %s", text, out ? out : error,
          expected);
    free(out);
}

static void refuses(const char *text, const char *input, const jinja_limits *limits,
                    const char *why) {
    char *out = rendered(text, strlen(text), input, limits);
    CHECK(!out && strstr(error, why), "%s\nwrites %s, %s\nnot    %s", text, out ? out : "nothing",
          error, why);
    free(out);
}

static void check_written(void) {
    size_t i;
    for (i = 0; i < sizeof written / sizeof *written; i++)
        writes(written[i].jinja, variables, written[i].text);
    for (i = 0; i < sizeof refused / sizeof *refused; i++)
        refuses(refused[i].jinja, variables, NULL, refused[i].why);
}

/* Ends of lines, places, and variables that are no object. */
static void check_reading(void) {
    static const char zero[] = "a{{ 1 }}\0b";
    writes("a\r\nb\rc\n{{ 'x\r\ny' }}\r\n", "{}", "a\nb\nc\nx\ny");
    writes("", "{}", "");
    writes("\n", "{}", "");
    writes("{{ a is defined }}", "[1]", "False");
    writes("{{ a }} {{ b }} {{ c }}", "{\"a\": 1.0, \"b\": -0, \"c\": 1e2}", "1.0 0 100.0");
    refuses("\xc3\xa9\n\xc3\xa9{{ x.y }}", "{}", NULL, "line 2, column 6: 'x' is undefined");
    refuses("\n\n  {% if x %}\n{% for a in b %}\n", "{}", NULL,
            "line 4, column 4: this does not end: else endfor is missing");
    refuses("{{ a }}", "{\"a\": 99999999999999999999}", NULL, "beyond 64 bits");
    refuses("{{ '\xff' }}", "{}", NULL, "UTF-8");
    CHECK(!jinja_parse(zero, sizeof zero - 1, error) && strstr(error, "line 1, column 9"), "%s",
          error);
}

/* Whatever a template does, it ends, and within its means. */
static void check_limits(void) {
    enum { DEEP = 3000 };
    static const char *const open[] = { "(", "[", "{1:", "not ", "-", "{% if 1 %}", "f(", "a[",
                                        "1 if 1 else ", "{% for i in [1] %}", "x|default(" };
    jinja_limits limits;
    char *text = (char *)malloc(DEEP * 20 + 16);
    size_t i, k, n;
    CHECK(text != NULL, "out of memory");
    for (i = 0; text && i < sizeof open / sizeof *open; i++) {
        strcpy(text, open[i][0] == '{' && open[i][1] == '%' ? "" : "{{ ");
        for (k = 0, n = strlen(text); k < DEEP; k++, n += strlen(open[i]))
            strcpy(text + n, open[i]);
        refuses(text, "{}", NULL, "too deep");
    }
    strcpy(text, "{{ 1");
    for (k = 0, n = 4; k < DEEP; k++, n += 4) strcpy(text + n, " + 1");
    strcpy(text + n, " }}");
    refuses(text, "{}", NULL, "too deep");
    free(text);
    memset(&limits, 0, sizeof limits);
    limits.steps = 1000;
    refuses("{% for i in range(500) %}{{ i }}{% endfor %}", "{}", &limits, "too many steps");
    limits.steps = 100000;
    refuses("{{ 'a' * 99999999999 }}", "{}", &limits, "too many steps");
    refuses("{{ [1] * 99999999999 }}", "{}", &limits, "too many steps");
    refuses("{% for a in range(9999) %}{% for b in range(99) %}{% endfor %}{% endfor %}", "{}",
            &limits, "too many steps");
    refuses("{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}"
            "{{ m(60) }}", "{}", &limits, "too many steps");
    refuses("{% set ns = namespace(x=[1]) %}{% for i in range(90) %}{% set ns.x = [ns.x, ns.x] %}"
            "{% endfor %}{{ ns.x == ns.x|list }}", "{}", &limits, "too many steps");
    refuses("{% set ns = namespace(x=[1]) %}{% for i in range(90) %}{% set ns.x = [ns.x, ns.x] %}"
            "{% endfor %}{{ ns.x }}", "{}", &limits, "too many steps");
    refuses("{% set a = 'a' * 60000 %}{{ (a ~ a).find(a ~ 'b') }}", "{}", &limits,
            "too many steps");
    refuses("{% set a = 'a ' * 3000 %}{% for i in range(90) %}{{ a.rsplit(none) }}{% endfor %}",
            "{}", &limits, "too many steps");
    refuses("{% set a = 'a' * 60000 %}{% for i in range(900) %}{{ a|upper|length }}{% endfor %}",
            "{}", &limits, "too many steps");
    limits.output = 1000;
    refuses("{% for i in range(500) %}{{ i }}{% endfor %}", "{}", &limits, "more text than it may");
    limits.output = 0;
    limits.memory = 100000;
    refuses("{% set ns = namespace(x='abcd') %}{% for i in range(500) %}{% set ns.x = ns.x ~ ns.x "
            "%}{% endfor %}", "{}", &limits, "more memory than it may");
    refuses("{% for a in range(9999) %}{% for b in range(99) %}{{ [a] }}{% endfor %}{% endfor %}",
            "{}", &limits, "more memory than it may");
    refuses("{% macro m(n) %}{{ m(n) }}{{ m(n) }}{% endmacro %}{{ m(1) }}", "{}", NULL, "too deep");
    refuses("{{ 9223372036854775807 + 1 }}", "{}", NULL, "beyond 64 bits");
    refuses("{{ 3037000500 * 3037000500 }}", "{}", NULL, "beyond 64 bits");
    refuses("{{ 10 ** 30 }}", "{}", NULL, "beyond 64 bits");
    refuses("{{ -a }}", "{\"a\": -9223372036854775808}", NULL, "beyond 64 bits");
    refuses("{{ a // -1 }}", "{\"a\": -9223372036854775808}", NULL, "beyond 64 bits");
    refuses("{{ a|abs }}", "{\"a\": -9223372036854775808}", NULL, "beyond 64 bits");
    writes("{{ a % -1 }} {{ a }} {{ a // 2 }}", "{\"a\": -9223372036854775808}",
           "0 -9223372036854775808 -4611686018427387904");
}

int main(void) {
    check_written();
    check_reading();
    check_limits();
    return check_finish();
}
