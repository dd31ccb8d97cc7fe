/* unicode.h: what a tokenizer has to know of Unicode: which characters are letters, numbers, white
 * space, punctuation and parts of words, and the composed form NFC.
 *
 *     unicode_tables *u = unicode_new();                    (one calloc; free() releases it)
 *     if (u->kinds[code] & UNICODE_LETTER) ...              (any code below UNICODE_CODES)
 *     const char *same = unicode_nfc(u, &work, text, length, &new_length);
 *
 * Everything agrees, code point by code point, with version 0.23 of the Python package tokenizers:
 * \p{L}, \p{N}, \p{P} and \s of its Oniguruma and \w of its Rust regex are Unicode 16.0; its NFC
 * is that of Unicode 9.0, so marks and letters that are younger stay as they are.
 *
 * The tables are sequences of whole numbers. A number is written in digits of base 28, '#' to '>',
 * the most significant first, and one last digit of base 34, ']' to '~', which so also ends it.
 * They were made by asking that package about every code point. */
#ifndef UNICODE_H
#define UNICODE_H

#include "json.h"

enum { UNICODE_CODES = 0x110000, UNICODE_MARKS = 0x1f000, UNICODE_DECOMPOSITIONS = 2060 };

enum {                              /* bits of unicode_tables.kinds                              */
    UNICODE_LETTER = 1,             /* \p{L}                                                     */
    UNICODE_NUMBER = 2,             /* \p{N}                                                     */
    UNICODE_SPACE = 4,              /* \s                                                        */
    UNICODE_WORD = 8,               /* \w: letters, marks, digits, connecting punctuation        */
    UNICODE_PUNCTUATION = 32,       /* \p{P}                                                     */
    UNICODE_NFC = 16                /* NFC may change it, or join it to what stands before it    */
};

/* Runs from code 0 on: 5 (length - 1) + what it is: 0 nothing, 1 letters, 2 numbers that are parts
 * of words, 3 other numbers, 4 other parts of words. */
static const char *const unicode_kind_runs[] = {
    ")|$j{&ula]&u)w^{e]^g`^]j]&f]'l]%.el$s$|r{^]^%i3lr]cbm]^v^]h]^]%y]/`]7h]$];g](mb^v(|$^)q]a]f]f",
    "]a$^&zlm'a$qq)d&_$jlca1l]^$]bzcf]pc$jhb^%d^a'g&}b/~$q^$|$j'v$gcl^bab&ap^$g^k^u%n&pkl$nq&k]w$^",
    "$g)_&n]'y*yk^%r^$]$ifb$j]%ek]$_bcb&a]|]^gmba^$]bfbk^$^alc]hfb$jcbyb^]abk]wlcb&a]|]c]c]cba]ulf",
    "bkga{m]^{$jfha$mk]$d]h]&a]|]c]rba^$b]k]kb^%_cfb$j$c^z]k]$_bcb&a]|]c]rba^$]bfbk{klc]hfb$j]^y$h",
    "a^]wgh]mgc]^]cgcghg$slugk]pb^va$|$jj$wu$_]h]&f]%eba^$]]k]p{f]hb^bcfb$j$^~]^k]$_]h]&f]$i]rba^$",
    "]]k]p{fvc]cfb$j]ca$rp$d]h](|f^$]]k]p^qha~hfb$j$f]w]k]%og&k]$d]^b|galz]a]$bv$jbf$w)}ac$]q|$b]$",
    "j(qc]^]r]&k]^]$iac$g^br]^]$]]$jbm'p^&efv$j$k]a]a]alf$_](cl%|]fr$q](f$ca+e)d%|^$jvwpmk^kc$]hp$",
    "x$v^a$jpb(m]^q^b)d]$7z]mb|]^]mb(|]mb'v]mb|]^]mb%`]+f]mb,vbk$c%{g%e%d/obwg&*_b%j]&uq-|gi$_{%op",
    "$c%tk$m%of$r$x]h]f$r*o'tg^l^ab$jv$k%ik]a$jv/~{rf'{a^q-c$h'l]$vl$v$h$j'gbr$m)il&uv$j`(g&ful*t$",
    "l]'eba$jv$j$w^$^'o*_u)x%m$_g$j%i$g$rk'g${c$j)i%^$r(c%|$^$jgh$j(cb$nq)dbh%dk]&_mawack^q$#a,j$/",
    "wbwb(mbwb$_]^]^]^]'lb*t]|]^gh]|gmbwl$xqh]|%_f*_f%sa&y`^byq^$kv$x*i'y%i^l^b$i]^grv^]^]^]m]$nbm",
    "qrl^]%g(_cn`&9r+w&t*r&c&+n'i(=h$(pvmkc$c`b(m]^q^b+a{^%_a&f$c|]|]|]|]|]|]|]|]'t)w^%/yc_&o$ez]r",
    "bicl/obfbh]0a]mq)d]0ugo$h'q)|%e'p$k'f$a]%b'p$k(q%b$5|$)4g,f''-f,u)sb$.lg%e$jc%x)xp]$l]'lf-c$j",
    "f(g$db2^b,vbc]^]$_%}%eahama&fulagy$h*o$rf*e%r$h$jv%rwg^]ca$j']$bb&f${$r'bgp)x%^$|^$jvra$i$jr]",
    "(|%^$cha$_fb$jv&fg^k*ea^kcfrf^a^&jhb$nubhf$hwbwbw$c|]|])d]$}v3x$b]fb$jv%%5y$r&fl*`$3-x$<ub2m(",
    "l|$rrq^a$i]$x]r]^]c]c]2w'u$<f%n,gb*y(v$sl%h%d%hgf&jk'pr]6v%s$j{&ula]&u$m/~gwbwbwbh(]$s]&u]%t]",
    "c]%`b$}'z4~$r)p$r*uo%ie3ma5~'bg*`%_a&|l'qo$c%y_$__q(muq'gb(cl$_]s)^:ab$jv(cl(cl(w$^*o$r$n]%`]",
    "|]c]$n]%`]|]cg*o$r$4r$c&a$h$_&jw])_]$d-]wb^])i]cg^b&fb$a&fb~'l$^$f)|%t]cqt&ayl&u-b+alec%gb)u^",
    "k]fqpm]h]'bbkla$f&e'be]'bj'p$_]']flt%d*y$h&ab$a%tq$a%o&e~.r-r*}*j$w*j{y(cp$^$jv$j']gu]&f$&|'n",
    "])_]fgc%dh*}p'b$k^$^&a$qo&y%op)^%~~%x&f$ck*t%c$m%{$jacf^$cp)n$q{a$w&p{$jvk(c%^]$jl^f^$^(^ab^$",
    "ck)}%^mlp]f$j^]^l%{$m%o]&p$vvaca+~|]^]m]%`]$i{)x$vq$jvp]$_bcb&a]|]c]r]f^$]bfbkb^vaqrfb$]gu$m$",
    "i]^b^](m]^$g]aba]p]u^a^$wf'a*t%rmq$jlah'f)}%|c]^$^$j;f)x$]b$g&emf'z)}%mg^$m$j(l)d${^{$jv%z&~&",
    "zb%cl$jel|>_)i%c1u,g$j$f$r$_b^b$_]c]&kz]fbp^a^f$r$j-b$_b(r$]b$]^]^a&y^$l(w$]^p$^a$^^$q)s%hg^%",
    "n-r$$a'v%_$jv$d](h$b]$b^%_$j%vq'gb&d]%^-q|]c](mzga]f]$]^a$^$jvw]c]'qu]f]u^{$j$4l%tp$cf^a$x]'{",
    "$]gu$w$ja/i^%_&^)c':m1z3e%i$#u0:n1b%_(4o%daw%c$h7>jq&$r$*<{'g%r$j,%z%>p{'l]$jv.n]$jv'gbu$m)}$",
    "]$cm$r$j]~]%~q%t%*j)ng$j$#~,g&h2g-|la^+_{p$x,fc]^a$mf$|$')e$^)0}({$i$5<ym]|]c]$1t%_^'ahb^$|m$",
    "^%%a/&f2rq$xg$d{$igf8=a$j%7^)vb&i%:pugz$^$bb$]'fp8rk4}%{$r%{2v&r6u/j]-h]cb^bcbm]$s]^]|],l]mb$",
    "_]|]']]m]r]^g|]$8{b&p]&p]'l]&p]'l]&p]'l]&p]'l]&p]$_b*f%6b+_l*h$^a$|a&`u]%c(9d'lvw$&c$]]%mb$]]",
    "f]uq,]'ua3h)ng$]|b$jl^$6_'ga%i)ip$j%/~']p$j$&h'gf^$j%2c|]m]c]%`]$#zb$f$]({,{$]^l$j''c+r]j]o.^",
    ")p]%b$#jm]&z]c]^b^]$i]m]^]^v^l^]^]^]h]c]^b^]^]^]^]^]c]^bm]|]m]m]^]$i]%jqh]r]%j&$b$z(]&xv&xv&x",
    "0>h$j(.h+#-e'p89wv$'ob$%*e$|$.)z%_&*i/=n%:q*<h<=dq9#i'823`$*f",
    NULL
};

/* Runs from code 0 on: length - 1, of what is no punctuation and what is, in turn. */
static const char *const unicode_punctuation_runs[] = {
    "}_]b]`f^_^v_]]w]]]$]]a]_]f^_]_]7r]d]0tb$c^$m]]]^]^]$f^p^]^i]]_%b`%~]$ej)y_$pk{]*s^f]'`]&n]&o]",
    ".l]h]-w]%r]f^'|k]]$_`%_]%ba`^&eb(]]4~e'k]5e]$f^%f_%_^'q_]_$_g,c^)h^&vc]b't^fcx_&r`$ua$x^$zdg]",
    ";htdp]i]hz^j^5q`y^$&{j%g^{f.yr$y`|^9k`]^&f]'c$i]|^h/g_`f^hl]h]%z]%r]$&(l^*{_%{]f]&ib.b`%n^$b_",
    "]]$k^$i]%yil^&r`&t^l^*g]8;f^)`fr$]]j]]`]]^'i_]b]`f^_^v_]]w]]]]c/^_6r]$j]/b]8y](y]{]*~e$`]&fc$",
    "|c%q`0s],h]'{a$f`(oc&c^]`&t`$j^%g``]i]]_%pb&a]+v^]^&haf^]]&^]*hs&__xi%d]&x_*j]*v_'o]%td%k_]a%",
    "uf)g]%wa$d^5}^%bi(a]$(ja&%l^27g^&{]${ad]3d_+s`,q]74v]+$aa&%c]<h^",
    NULL
};

/* Runs from code 0 on: length - 1, canonical combining class. */
static const char *const unicode_combining_runs[] = {
    "9p]q)w])y`)m])y])ia)m^(}`)m^(}g)ma^`)m_)w^]])w^]]*_])w_)m_)w^)m]]_)w`)m])w])y^)m])w])z^){])z^",
    "){])zi)w+_]a)w*w]])m`)w])m_)w])o])mb)wb)m^)w])m^)w])o])u])w]g]h]i]j]k]l]m]n]o^p]q]r]s]]]t]]]u",
    "]v]]])w])m]]]o%`]d)w]{]|]}$j]]x]y]z]{]|]}]~]$]^)w^)ma)w])m^)w])ml]]$^%}]c)w^]`)w])m])w^]^)w]]",
    "])m^)w])m$]]]$_z]])w])m^)w])m^)w_)m])w^)m])w])m_)w])m])w])m])w])m])w])m^)w't]c)w])m])w~]`)w]]",
    "e)w]]_)w]]a)w$e]_)m&n]j)w]]])m^)w])m^)w])m_)w_)m]x]y]z_)w])m^)w^)ma)w$v]]dl]]f_]])w])m^)w&]]]",
    "dl]]f&d]]dl]]f&d]]dl]]f&d]]dl]]f&u]]f&u]]fc]]%m]%t%}]]dl]]f&u]]f&r]]f&c]^&^]fi]`&b&b]^&mj]`&q",
    "%d]^)mw]])m]]])m]]])i$q]]&x]&y]]]&{a]`&y^]]&y]]^)w]f]]^)w$x]])m&f]]d]]^f%j]])m8a]_)w>z]]f{]]f",
    "'q]]ff]])w(}]])u'c]])o])w])m)k]])w])m%_]]fp]d)w^]])m$j]a)wb)m^)w])m&l]]dk]]f$`]])w])mc)w$p]^f",
    "$t]]dg]^f$}]]d'l]_)w]]]^a)m^)w`)m])w]]c^`]])mb]])w_]^)w(x]^)w])mc)w])m^)w]){])g])m](}$_)wa]])",
    "w])z])m])w])m8b]^)w^^`)w_^^)w`]])w_]^^])w])m])w^^`)m])w&)f]_)w'a]]f%x]|)w3f]])k])u])y])o^)q&_",
    "]^e$&6b]])w`]f)w|]^)w%h]^)w+`]]f(o]]fw]n)w$s]_)m$_]]f%w]]dh]]f*]]])w]]^)w])m^]^)wa]^)w]]])w$n",
    "]]f*d]]f8+d]]w9q]c)wc)m^)w$#q]])m)r]])m'i]a)w$8l]])m]]])w$b]])w]^])m`]]f'y]])w])m$/k]]f$r]]f$",
    "s]]f]d%]]_)w$j]^f$x]]d%d]]fe]]d&`]]f]d(d]]d]f%i]]dl]]ft]c)w_]a)w)]]]f_]]d&q]]f]d*i]]f]d&t]]f&",
    "l]]f]d&i]]f$-c]]f8'l]a^$u]c)w8;{]]^(3j]^)i_^_]])sa)id]d)m^]a)w^)mz]`)w'h]_)w&6i]c)w]]m)w^]c)w",
    "]]^)w]]a)w%,_]c)m&c]b)w]d",
    NULL
};

/* By rising code: 3 (code - the one before - 1) + 0: one other character, 1: a pair, 2: a pair that
 * is never composed again; then the first, and of pairs the second, each as the difference to the
 * one before it. One step only; Hangul is computed. */
static const char *const unicode_decompositions[] = {
    "3{&y$4c^]_^]_^]_^]g^]aaa$u^a%f^]_^]_^]i^el^]_^]_^]iagf^_b^]_^]_^]_^]gdil^]_^]_^]i^ejdm^^]_^]_",
    "^]_^]g^]aaa$u^a%f^]_^]_^]i^el^]_^]_^]iagf^_b^]_^]_^]_^]gdil^]_^]_^]i^eja]k^&fd^${]^$za^${]^$z",
    "%]^${]^$v%f^${]^$z_^${]^$zg^${]^$zg^${]^$x]^${]d$xl^${]^$za^${]^$z_^${]^$z$}^${]^$z$r^${]^$vp",
    "^${]^$ze^${]^$z_^${]^$z${^${]^$x%b^${]d$x_^${]^$z_^${]^$za^${]^$z%]^${]^$z$|g_f^${]^$x%c^${]a",
    "$x%d^${]^$z%e^${]^$z$p^${]j$vr^${]^$z%e^${]^$z$p^${]g$xl^${]^$za^${]^$zg^${]d$tp^${]^$z%e^${]",
    "^$z$p^${]^$xr^${]^$z_^${]^$z%c^${]^$z$p^${]^$x$q^${]^$z$p^${]d$xn^${]^$z_^${]^$za^${]^$ze^${]",
    "^$z_^${]^$z$u^${]^$v%d^${]^$v]^${]^$zi^_j^${]^$zi^${]^$zg^${]%}%n{^${]$c$n]^${]%n&^z^${]^$j]^",
    "${]^$n]^${]^$n]^${]^)_l^${]^$zb^${]^$zs^${]^$zt^${]a&fe^${]^5}]^_]^7v]^${]d,hm^${]^$r]^${]^$r",
    "$s^${]^9g%`^_]^&^m^/{]^$'l]g%^r^${]d$l^^${]^(a_^${]^$x]^${]^x]^${]^-vy^${]^$za^${]^$r`^${]^$z",
    "a^${]^$r`^${]^$za^${]^$n`^${]^$za^${]^$t`^${]^$za^${]^$t`^${]^$za^${]^$~$e^${]^$x]^${]d%p$n^$",
    "{]p%ff^${]^$r${^${]^)s%^^${]^$|]^${]^,vc^${]^=gb^_]^>r]^${]:s$-_]_`$__rb'b'rx$,np)k]^$2y]]$1|",
    "^$2c]^a]^a]ai]ai]^e]^$}]%e%zk^u]^uj^e]^a]^a]^$_]%e$^k^u]^hj^i]^e]jo]^]k&y&}l^]ma`jgvkj$cj^`^^",
    "si|r]%w${]$~bh^]ma`jg%_kj$rj^`^^si%_%{o^_])m(pn^${]$c%d]^${]^$za^${]d$p`^${]d,qa^_]^.l]^${]^$",
    "x]^${]d$xd^${]^$ze^${]^$n]^${]d-]]^_]^.^]^${]^%ld^${]^$ze^${]^$zc^${]^$rb^${]d$r]^${]=b$#]$8q",
    "^]_^$}]^$|_^%_^0o+c]a$b]$l$]]$;u$*c$2wsm]dc]&b$v]__]__]_g]_g]__]_o]_e],m+}*s^]$m$j%d$p__]bw]*",
    "j*u*oei]&_$~]__]_g]e{]7q3u3qd]$j^]$m$j%d$p__]'x)q,a'u&_$l^_]^^$m-{*o*m-o*a*mpk]^]_a]$b^e$a.b*",
    "g)c^_]^^$m/m+s)wa]g^cf^b$e$&m8e>wzq]kg]kg]kg]$a$p`z%{&|b]a_&yub_]w&z]$p$}&ezq]kg]kg]kg]$a$p`,",
    "p+w*a+8q(:w(=_aa]aa]aa]aa]ge]&p%k]aa]da]^_]ac]%(x11r/=h^${]^$x$v^${]^$z$s^${]^$zy^${]^(}%x^${",
    "]^,pi^${]^$z$s^${]^$zy^${]^$zp^${]^$zi^${]^-e%r^_]^^_^_]^/`%q^${]^$zc^${]^=o%l^_]^$#j_^${]^$x",
    "b^${]^$xc^${]^$z$s^${]^$z$p^${]^$z$y^${]^$zk^${]^$xa^${]^)]%v^${]^,r]^${]^$z%]^${]^$zy^${]^$x",
    "x^${]^3#q$x^_]^3%n%s^${]^$zd^${]^$x%p^${]^$zi^${]^$z$s^${]^$x$r^${]^$z$s^${]^$zy^${]^$zd^${]^",
    ")_%p^${]^$zk^${]^(al^_]^^_^_]^1z]^${]^$zi^${]^$v]^${]^$z$s^${]^3%i$x^_]^3'f%s^${]^$x%l^${]^$z",
    "$s^${]^0q$r^_]^g]^_]^23w]^_]^3'r]^${]^$z$s^${]^$zy^${]^$zd^${]^$xn^${]^$zu^${]^$zb^${]^1g%p^_",
    "]^_k^_]^3ff^${]^$z${^${]^$x%^^${]^$z_^${]^$zk^${]^$z^^${]^$z$s^${]^$x$r^${]^$z_^${]^$x^^${]^$",
    "xf^${]^$z$}^${]^$zy^${]^$^]^u%j^ca^a]a2kbj5t$s^${]^$z$n^${]^(ul^${]^$z^^${]^$zo^${]^$zh^${]^2",
    ">{^^_]^2=^^^_]^^^^_]^^o^_]^^h^_]^2<}c^_]^3,b$u^${]^$z$n^${]^$zh^${]^(}`^${]^$z^^${]^$zo^${]^$",
    "zh^${]^3#y^^_]^3-hk^${]^$z$o^${]^$n]^${]^$z$n^${]^(}l^${]^$z^^${]^$zo^${]^$zh^${]^3$k^^_]^26h",
    "^^_]^^^^_]^^o^_]^^h^_]^^${^_]^6n]^${]^$z$n^${]^5ml^_]^^^^_]^^o^_]^^h^_]^^${^_]^7b%^^${]^$z%_^",
    "${]^$z$n^${]^$zh^${]p$7m}^]_^16e$b^_]^^_^_]^^&y^_]^18b%v^]_^18q$b^_]^^_^_]^^&y^_]^16n%v^]_^16",
    "}$b^_]^^_^_]d18z$_^]_^19g$b^_]^^_^_]d17h$_^]_^17w$b^_]^^_^_]^^&y^_]^19t%v^]_^1:a$b^_]^^_^_]^^",
    "&y^_]^18b%v^]_^18q$b^_]^^_^_]^^&y^_]^1:n%v^]_^1:}$b^_]^^_^_]^^&y^_]^18v%v^]_^19c$b^_]^^_^_]d1",
    ";`$_^]_^1;o$b^_]^^_^_]d19h$_^]_^19w$b^_]^^_^_]^^&y^_]a1;t%ta1<c$ba]_a]&y^1:^%v^]_^1:m$b^_]^^_",
    "^_]^^&y^_]^1<j%v^]_^1<y$b^_]^^_^_]^^&y^_]^1<j&z]f^o]]l^q]]n^s]]p^}]]w^j]]m^d]]gd14o'_^_]^_]^_",
    "]^_]^_]^_]^_]^_]^_]^_]^_]^_]^_]^_]^_]^$]]^_]^_]^_]^_]^_]^_]^_]^_]^_]^_]^_]^_]^_]^_]^_]^%{]^_]",
    "^_]^_]^_]^_]^_]^_]^_]^_]^_]^_]^_]^_]^_]^_]^1<v&t^]`^1<y&y^1<x]^f]agb^2$}c^2&x&t^]`^]d]r^s'_`%",
    "id$5bb^32wc^1<t]^n]aob^2%oc^2'n'^]v^{]]x^y'_^2']'^^]_^]&y^2$~&n^]`^$]d]&jd%k&{^$]]^%z&n^]`^]d",
    "]za2+m]^]_^]&y^2'~&n^]`^id]$p^$]$a^]_^e%u^i]^%d&n^]`^]d]$h^$a$c^$3v$b]$2a]$6hd37m'_^1<`]^g]af",
    "b^2'gc^2)v'^]$`^$u]]$n^$o'_]$3nc3:k]_<w2)|f$9t]*c,v44yv^a]$ra]%t&o]^e]^`]'r%{]jg]dc]%_$k]aa]%",
    "h$i]dk]da]ac]$~5+r]a5-a]|$b]^5+~]^a]^5-e]^_]dw]^_]dc]^_]pc]^_]dk]^_]dc]^_]&^$q]^i]^_]^a]'f%v]",
    "^_]^$c]^_]p${]^_]^_]^_](d*'s]_)(x%8z]'-w%<w;.iaa]aa]aa]aa]aa]aa]aa]aa]aa]aa]aa]dc]aa]aa]pk]^]",
    "_ac^^]_ac^^]_ac^^]_ac^^]_$~&`^y(a]$cy]aa]aa]aa]aa]aa]aa]aa]aa]aa]aa]aa]dc]aa]aa]pk]^]_ac^^]_a",
    "c^^]_ac^^]_ac^^]_$~&`^d'g]^_]^_]^_]gs](8,v$8%w]7%`]8.{]$%d]3&d]42d]&$y]$/7c]]]$,9n]$%-y]$'.z]",
    "%#o]'5u]->}]'<c]&4g]9g]5u]'%g]77n]$5s]%#i]$4m]+9o]*%k]'3k]$/2|]%5o]/5w]&9w]-9e]/;o]$):z]-#c].",
    "8o]$=_]78h]36u]&-o]9)j]'0]]&.e]%>{]3$_]$*&^]$(]]4i],4o]&*e]&<]]%3{]'<_]&)s](_]'%_]'>m]%*y]$-g",
    "]7&r]1g]%)c]&+w]+(i])'{]-3^]=;j]&+o]29a]%)]]*3l]&/m]-7u](0u]$(.l]$<g]*-c]%#{]5c]*3u]2o]/=q]$+",
    "+^];3o]<%~]|]86_]$=u]&,i],=y](;~]8;v]&;k]47u]$'6`]*-]]%)w]-0]]$#w]50d]7-q]9'|]+2s],0b]32]]&=h",
    "]/7i]9)~]%0i]30i]*']]&/_]34z]6,o]5<j](&r]4'k]39z],2q]79~]$0a](s]/)a]->c]%>g]'1g]&8e]$(9l]6q]%",
    "9c]%=k]&6a](0}]'=a]2,i]%2i]%){]&e]$/>l]-:u]%1s]6+{]=+x]$5y])q]$.c](5s]$'i]$7}]%:a]%)u]$,i]*<q",
    "](0z])#w]$6m]$*$x]+e]$&s]2%g]/<_]$#u]:3v]4s]$<_]'.m]+<k]'7f]65r]',u]%5e]>m]$*{]-1}]-w])#o]-a]",
    ",5]]%2s]'y]/e]$.#n]95o]/<w]%6o]$#=v],;j]$*_](=y]'w](#y]%-k]'(k]%._]*<w])(c]+%{]$%5r]<4o]$+-r]",
    ".*k]*_]%:{]7k]%<u]6w]$5e]%0}]16c]$-'f],#g]$#&k]$,9r])=u],$e]4;u]<4`]<}]&5w])'e]5:]]$+8l]$#q]'",
    "0o]((w]5o]7i]%*y]&:i]$#]]('k](#q]$_]'9g]%7q]$+-n]18y]1+v]2>e]$0{],,w]+={]&${]$)i]$$3t]&,k]-9{",
    "]&:`](]]8w](*z]$'j]1-w]$'3l]$#)]]=,r]%~])9_]%){]0>u]4<t],0]]&/p]89g]&7j]*1{]);`]9>f]*+j]%.wc$",
    ".c`*3ic.$~]4<k]$=q]$+y]%]]k]%m]3#k]1+l]$4a`&.i`%4wc%:_].qf'*s]w]%q]%/m])<f]&'_]$-(t]5k])]]9i]",
    "$q])k]$)q])c](w]>w])a]%#e]q]%)m]/m]%e]({]$9s]+s]-g]$$k]%5m],q]2o]$)q].a]$$q]%-w]-c]s]^]m]i]k]",
    "%y]_]-m]&y]5w]$(c]$e]&g]4}]+s]$#u]+e]]]$#a]%2a]*{]8i]&g];a]&a]$/i]*s]&3k]3u]&o]$$>z],*0m]+4-|",
    "c>=d]$<q]'n]$#t]=s]&m]6e]&]]$.u]'d]']]'g]$,c](e]+o]}]2{].s]$>c]k]+m]']]4q])}]'`]*{]%t]+q]&{]:",
    "o](c]&c]2g]3y],q]e]&m]%)g]&y]:]];a]|](a]1y]6w]&,u]%<~]*c]*e]6e]+w]&a]0g]a]-_]$]]$m](_]p]:g]$#",
    "o]2}].]]0c],]]6k].u]$8u],e]$<g]=y]'_]}]4m]&i]%r]&c]b]~]'m]'w]9m]$'}]5m]4i]0]]%'q])_])w]*y]%a]",
    "u]%y]$1w]%/i]*2(g]h]))c],6'|]%.m]$}]-(%a](5o]5+c],(<r]'k(~%=5r:$|b$mc}nq_]__'6>_^_]__'7#nr_]_",
    "_]e__]__]__]__]__]__]ba]__]__]__]__]ba]ba]__]ba]__]ba]__]__]__]__]_$db_di_q]_o]4(](&/g(&3kaa]",
    "$fq].n+e)k^_]$6q$&i$&m^]$m$'h8w7{^]pa]w9c2]1e^_](.-i&3<g&3=u__]_ko_]__]__]__]_*s(gv__]__o__]_",
    "^___]+0-n*/.d]f]o]+,;w]+,*z]'q]w]'c]*_]$y]'q]$j]2'n]+=.o]+->p]k]}]$a]+-+g]+<8`]2.{]%e]+-,w]+-",
    ",b]w]$1x]$2g]o].$;i].$7p]y]25x]29a]s]%q]g]29l]2>c]a]$q]$g]s]_]$]]%}]m]o]$m]q]a]]]]]+.<}]*;-`]",
    "2.j]$e]+/-q]+/,z]i]$e]+}](~]}]${]&k]'}]$o]&}]}]$}]]]$e]$_]m]{]7]]2~]3_].r]%_]%-r]&6}]3|]%e]$m",
    "]*r],y]^]*e]+1<k]+18f]g]{]$c]m]&w]+20g]&{]+2,^]%w]u]'r]+i]6%`]y]6-y]&c]]]+3'i]+2;n]$e]{]u]+30",
    "m]+3/v]k]$8u]$7^]66p]6:e]y]'y]%~]+45o]+4*x]+4*}]+4(j]b]$]](}]_]7*t]7,g]%o]$e]%q]7/r],.$u],.#b",
    "]72g]c]c]$c].',{].')x]+6(q]]]+#-h]58`]]]74p],7%{]<,w],;6f]o]77d]7:]]&]]q]%]]+]]8&l]$v]8)i]+7+",
    "m]+7(l]*q]e]a]`]%u]$c]%a]x]s]%w]$c]e]$o]s]&{]'}]%_]*g]+8%y]+8&|]&x])i]$q](u]+8*q]+8&|](l]$r]9",
    "+r]96}]$e]$y]%d]94`]:$y]$u]+95e]+9.d]3g]-f]:)h]:-q]:.p]%`]/(o]c].1o](z]1#o]$'6~]5=u]e]i]&q]r]",
    "+:4s],6+x];$]])z]/_]&]]+:,s]+:,`])n]1k];/r];2i](u]'c].c]+:-w]+:*v]<'b]<+g]+;)]]+;%~]<+`]<,{]%",
    "s]$q]_]+;<o]2;h]3%w]+;:f]+<8w]+<2`]y](~]-g]%i]&i]&b]%i]{]w]+<,e]+<0~]1w]&u]=0h]=5y]d]+<2{]+<>",
    "~]8}]+<1i]%y]+<.~])w]$p]b]>'v]>*o]&]]h]&c]*81y]*8(z]+='a]+<=~]+=5g]+=-^]w]$q]+>2g]+>/l]$e],##",
    "}]0a],##p]$]]$#/b]$#0u]$#/~]]]$#9o]$e]$e]$c]'_]$#;j]$$$u],$,w],$+d],$0s],$-t]+)*}]+(=n],%6i]$",
    "i]+e]-'&f]u]$$2_],%<y]^]%g]$o],%>`]_]]]%o]$$4d]$$8_]$$7f]'u]-(;c],&<`]&s]&w]$%$|]-)9g],'/d],'",
    "6_]%o],'5d](k]$%1h]$%6i]q]g],(6y]4q]]],)#^]$%4b]-,'o],)%r]c]$%>z]-,1{],(>j]$&+h]$&,s]f]$u],*1",
    "e],*+j]$&.b]$&4_]&m]&}]$&8l]-/#e]$y]-.>z]-/+m],*=~],+'}],+&h](}]s],+8]]'g],+6|],+>w],+=x]+,<q",
    "],11d]$'7o]'w]$'9`]$'<q]77f]-%,_]y]$#$^]o]+,(p]c]*+y]$//j]$(.{]h]$_]<8n]<9u]a]q]%k],-4w],-4x]",
    "&g]'a]'i]+`],_]%m])q]2f]*]]a]}],-5]]5c]+x]-36j]$)+i]a]%_],1$s],0<^],..o]-4:t]e]-5&g]4]]-56t]$",
    ")<e]u]s]a]&w]$|]*{]%p]+{]'v]&}]$q]$*,`]$*1m]${]$*1h]$*6}]c],06g],0/l]k]$*:x]$*<m]$4+r].&<i]-y",
    "]-93|]o]$+0u]'o],e].}],1=_],17~]$g](g](k],26_]%+%n]**.p]z]&_]**9e]**+x]({],5+q]$q],44t](m]${]",
    ",5$e],5#r]3w],i]_](j]9k]$s],6#_],5)^]$/:z]$/=m],5<{].&6p]$0,m]$%6h]$%<]],7(w]/o].(<j]m]$04w],",
    "8+i].)9p].*%y],81^]]]$w],9$e],85h]$08x]$0=]]*k]$q]&o]$1$j].-$o],:.z]4w].a]$2&l]$y]$2*{],<(i].",
    "//p]./2y]2q]*u],<.z]$28t]$2<i]g]k]q]k]%c],>#_",
    NULL
};

typedef struct unicode_tables {
    unsigned char kinds[UNICODE_CODES];
    unsigned char combining[UNICODE_MARKS];         /* canonical combining class                 */
    uint32_t codes[UNICODE_DECOMPOSITIONS];         /* rising; what each is made of:             */
    uint32_t first[UNICODE_DECOMPOSITIONS], second[UNICODE_DECOMPOSITIONS];   /* 0: nothing      */
    uint64_t pairs[UNICODE_DECOMPOSITIONS];         /* rising: first, second, code, 21 bits each */
    size_t num_pairs;
} unicode_tables;

/* ---- the tables unpacked */

typedef struct unicode_reader {
    const char *const *line;
    const char *at;
} unicode_reader;

static inline unicode_reader unicode_read(const char *const *lines) {
    unicode_reader r;
    r.line = lines;
    r.at = *lines;
    return r;
}

static inline int unicode_more(unicode_reader *r) {
    if (!*r->at && *++r->line) r->at = *r->line;
    return *r->line != NULL;
}

static inline uint32_t unicode_number(unicode_reader *r) {
    uint32_t n = 0;
    while (unicode_more(r) && *r->at < ']') n = 28 * n + (uint32_t)(*r->at++ - '#');
    return 34 * n + (uint32_t)(*r->at++ - ']');
}

/* 0, -1, 1, -2, 2 ... are written 0, 1, 2, 3, 4 ...; modulo 2^32. */
static inline uint32_t unicode_difference(unicode_reader *r) {
    uint32_t n = unicode_number(r);
    return n & 1 ? ~(n >> 1) : n >> 1;
}

static inline void unicode_fill_kinds(unicode_tables *u) {
    static const unsigned char bits[5] = { 0, UNICODE_LETTER | UNICODE_WORD,
        UNICODE_NUMBER | UNICODE_WORD, UNICODE_NUMBER, UNICODE_WORD };
    static const uint16_t spaces[][2] = { { 9, 13 }, { 0x20, 0x20 }, { 0x85, 0x85 },
        { 0xa0, 0xa0 }, { 0x1680, 0x1680 }, { 0x2000, 0x200a }, { 0x2028, 0x2029 },
        { 0x202f, 0x202f }, { 0x205f, 0x205f }, { 0x3000, 0x3000 } };
    unicode_reader r = unicode_read(unicode_kind_runs);
    size_t code = 0, i;
    while (unicode_more(&r)) {
        uint32_t run = unicode_number(&r);
        memset(u->kinds + code, bits[run % 5], run / 5 + 1);
        code += run / 5 + 1;
    }
    for (i = 0; i < sizeof spaces / sizeof *spaces; i++)
        memset(u->kinds + spaces[i][0], UNICODE_SPACE, spaces[i][1] - spaces[i][0] + 1u);
    r = unicode_read(unicode_punctuation_runs);
    for (code = 0; unicode_more(&r);) {
        code += unicode_number(&r) + 1;
        for (i = unicode_number(&r) + 1; i > 0; i--) u->kinds[code++] |= UNICODE_PUNCTUATION;
    }
}

static inline void unicode_fill_combining(unicode_tables *u) {
    unicode_reader r = unicode_read(unicode_combining_runs);
    size_t code = 0;
    while (unicode_more(&r)) {
        uint32_t run = unicode_number(&r) + 1, mark = unicode_number(&r);
        for (; run > 0; run--, code++) {
            u->combining[code] = (unsigned char)mark;
            if (mark) u->kinds[code] |= UNICODE_NFC;
        }
    }
}

static inline int unicode_compare(const void *a, const void *b) {
    const uint64_t *x = (const uint64_t *)a, *y = (const uint64_t *)b;
    return (*x > *y) - (*x < *y);
}

static inline void unicode_fill_decompositions(unicode_tables *u) {
    enum { SINGLE, PAIR, PAIR_NEVER_COMPOSED };
    unicode_reader r = unicode_read(unicode_decompositions);
    uint32_t code = 0, first = 0, second = 0;
    size_t i;
    for (i = 0; i < UNICODE_DECOMPOSITIONS; i++) {
        uint32_t step = unicode_number(&r);
        u->codes[i] = code += step / 3 + 1;
        u->first[i] = first += unicode_difference(&r);
        if (step % 3 != SINGLE) u->second[i] = second += unicode_difference(&r);
        if (step % 3 == PAIR) {
            u->pairs[u->num_pairs++] = (uint64_t)first << 42 | (uint64_t)second << 21 | code;
            u->kinds[second] |= UNICODE_NFC;
        } else u->kinds[code] |= UNICODE_NFC;
    }
    qsort(u->pairs, u->num_pairs, sizeof *u->pairs, unicode_compare);
    for (i = 0x1161; i <= 0x1175; i++) u->kinds[i] |= UNICODE_NFC;          /* Hangul vowels     */
    for (i = 0x11a8; i <= 0x11c2; i++) u->kinds[i] |= UNICODE_NFC;          /* ... and finals    */
}

/* NULL: not enough memory. */
static inline unicode_tables *unicode_new(void) {
    unicode_tables *u = (unicode_tables *)calloc(1, sizeof *u);
    if (!u) return NULL;
    unicode_fill_kinds(u);
    unicode_fill_combining(u);
    unicode_fill_decompositions(u);
    return u;
}

/* ---- NFC: decompose, order the marks, compose; only where something can change */

typedef struct unicode_work {       /* zero it first; unicode_work_free() releases it            */
    char *text;
    size_t length, capacity;
    uint32_t *codes;                /* of one stretch: combining class << 24 | code              */
    size_t count, room;
    uint32_t *sorted;               /* [room]                                                    */
} unicode_work;

static inline void unicode_work_free(unicode_work *w) {
    free(w->text);
    free(w->codes);
    free(w->sorted);
    memset(w, 0, sizeof *w);
}

static inline int unicode_add_text(unicode_work *w, const char *s, size_t n) {
    if (n > w->capacity - w->length) {
        size_t more = 2 * w->capacity + n + 64;
        char *text = more > n ? (char *)realloc(w->text, more) : NULL;
        if (!text) return 0;
        w->text = text;
        w->capacity = more;
    }
    if (n) memcpy(w->text + w->length, s, n);
    w->length += n;
    return 1;
}

static inline int unicode_add_code(const unicode_tables *u, unicode_work *w, uint32_t code) {
    if (w->count == w->room) {
        size_t more = 2 * w->room + 64;
        uint32_t *codes = more > SIZE_MAX / 8 ? NULL
                          : (uint32_t *)realloc(w->codes, more * sizeof *codes);
        uint32_t *sorted = codes ? (uint32_t *)realloc(w->sorted, more * sizeof *sorted) : NULL;
        if (codes) w->codes = codes;
        if (sorted) w->sorted = sorted;
        if (!sorted) return 0;
        w->room = more;
    }
    w->codes[w->count++] = code | (code < UNICODE_MARKS ? (uint32_t)u->combining[code] << 24 : 0);
    return 1;
}

static inline int unicode_decompose(const unicode_tables *u, unicode_work *w, uint32_t code) {
    size_t low = 0, high = UNICODE_DECOMPOSITIONS;
    if (code >= 0xac00 && code < 0xac00 + 11172) {          /* Hangul: 19 x 21 x 28 syllables    */
        uint32_t syllable = code - 0xac00, last = syllable % 28;
        return unicode_add_code(u, w, 0x1100 + syllable / 588)
               && unicode_add_code(u, w, 0x1161 + syllable % 588 / 28)
               && (!last || unicode_add_code(u, w, 0x11a7 + last));
    }
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (u->codes[middle] < code) low = middle + 1;
        else high = middle;
    }
    if (low == UNICODE_DECOMPOSITIONS || u->codes[low] != code)
        return unicode_add_code(u, w, code);
    return unicode_decompose(u, w, u->first[low])
           && (!u->second[low] || unicode_add_code(u, w, u->second[low]));
}

/* n marks in the order of their classes, those of one class as they stood. */
static inline void unicode_order_marks(uint32_t *codes, uint32_t *sorted, size_t n) {
    size_t starts[256], i, sum = 0;
    for (i = 1; i < n && codes[i - 1] >> 24 <= codes[i] >> 24; i++) {}
    if (i >= n) return;
    memset(starts, 0, sizeof starts);
    for (i = 0; i < n; i++) starts[codes[i] >> 24]++;
    for (i = 0; i < 256; i++) {
        size_t count = starts[i];
        starts[i] = sum;
        sum += count;
    }
    for (i = 0; i < n; i++) sorted[starts[codes[i] >> 24]++] = codes[i];
    memcpy(codes, sorted, n * sizeof *codes);
}

static inline void unicode_order(unicode_work *w) {
    size_t i = 0, from;
    while (i < w->count) {
        for (from = i; i < w->count && w->codes[i] >> 24; i++) {}
        if (i > from) unicode_order_marks(w->codes + from, w->sorted, i - from);
        else i++;
    }
}

/* What two become together; 0: nothing. */
static inline uint32_t unicode_pair(const unicode_tables *u, uint32_t first, uint32_t second) {
    uint64_t key = (uint64_t)first << 42 | (uint64_t)second << 21;
    size_t low = 0, high = u->num_pairs;
    if (first - 0x1100 < 19 && second - 0x1161 < 21)
        return 0xac00 + (first - 0x1100) * 588 + (second - 0x1161) * 28;
    if (first - 0xac00 < 11172 && (first - 0xac00) % 28 == 0 && second - 0x11a8 < 27)
        return first + (second - 0x11a7);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (u->pairs[middle] < key) low = middle + 1;
        else high = middle;
    }
    if (low == u->num_pairs || u->pairs[low] >> 21 != key >> 21) return 0;
    return (uint32_t)(u->pairs[low] & 0x1fffff);
}

/* Each character joins the starter before it unless one of its own class or higher is between. */
static inline void unicode_compose(const unicode_tables *u, unicode_work *w) {
    size_t i, kept = 0, starter = SIZE_MAX;
    for (i = 0; i < w->count; i++) {
        uint32_t mark = w->codes[i] >> 24, code = w->codes[i] & 0xffffff, joined = 0;
        if (starter != SIZE_MAX && (kept == starter + 1 || w->codes[kept - 1] >> 24 < mark))
            joined = unicode_pair(u, w->codes[starter], code);
        if (joined) {
            w->codes[starter] = joined;
            continue;
        }
        if (!mark) starter = kept;
        w->codes[kept++] = w->codes[i];
    }
    w->count = kept;
}

static inline int unicode_nfc_stretch(const unicode_tables *u, unicode_work *w, const char *s,
                                      size_t n) {
    uint32_t code = 0;
    size_t i = 0;
    char utf8[4];
    w->count = 0;
    while (i < n) {
        i += (size_t)json_utf8(s + i, n - i, &code);
        if (!unicode_decompose(u, w, code)) return 0;
    }
    unicode_order(w);
    unicode_compose(u, w);
    for (i = 0; i < w->count; i++)
        if (!unicode_add_text(w, utf8, (size_t)json_put_utf8(utf8, w->codes[i] & 0xffffff)))
            return 0;
    return 1;
}

/* From *at on, the next stretch in which something can change: a character that nothing touches and
 * those after it that have UNICODE_NFC. 1 with it in *from and *at; 0: there is none. */
static inline int unicode_nfc_find(const unicode_tables *u, const char *s, size_t n, size_t *from,
                                   size_t *at) {
    size_t i = *at, last = *at;
    int found = 0;
    while (i < n) {
        uint32_t code = 0;
        int length = (unsigned char)s[i] < 0x80 ? 1 : json_utf8(s + i, n - i, &code);
        int touched = length && u->kinds[code] & UNICODE_NFC;
        if (found && !touched) break;
        if (touched && !found) { *from = last; found = 1; }
        last = length ? i : i + 1;  /* nothing is joined to a byte that is not UTF-8             */
        i += length ? (size_t)length : 1;
    }
    *at = i;
    return found;
}

/* n bytes in NFC: s itself where nothing can change, otherwise a text in w, good until the next
 * call. Bytes that are not UTF-8 stay. NULL: not enough memory. */
static inline const char *unicode_nfc(const unicode_tables *u, unicode_work *w, const char *s,
                                      size_t n, size_t *length) {
    size_t done = 0, from = 0, at = 0;
    *length = n;
    w->length = 0;
    while (unicode_nfc_find(u, s, n, &from, &at)) {
        if (!unicode_add_text(w, s + done, from - done)
            || !unicode_nfc_stretch(u, w, s + from, at - from)) return NULL;
        done = at;
    }
    if (!done) return s;
    if (!unicode_add_text(w, s + done, n - done)) return NULL;
    *length = w->length;
    return w->text;
}

#endif
