import type { ConformanceCase } from './conformance.ts';

/** A case of our own: what is hard to say as a list of files is made by a script in the context. */
export type OwnCase = ConformanceCase & {
  /** Shell commands that fill the context. */
  readonly prepare: string;
};

/** A case whose context `prepare` makes, with BUSYBOX for the base image. */
export function own(id: string, prepare: string, dockerfile: string, more: Partial<ConformanceCase> = {}): OwnCase {
  const rest = { dockerfile_path: 'Dockerfile', context: [], fs_skip: [], ...more };
  return { id: `own: ${id}`, prepare, dockerfile: dockerfile.replaceAll('BUSYBOX', 'mirror.gcr.io/busybox'), ...rest };
}

/** Corners that the table has not: names, links, modes, archives, whiteouts, expansions. */
export const OWN: readonly OwnCase[] = [
  own(
    'many stages, by name, number and each other',
    'echo 0 > f',
    `FROM BUSYBOX AS s0
COPY f /f
${Array.from({ length: 12 }, (_, at) => `FROM BUSYBOX AS s${at + 1}\nCOPY --from=${at % 2 === 0 ? `s${at}` : at} /f /f\nRUN echo ${at} >> /f\n`).join('')}FROM s5 AS side
RUN rm /f && echo side > /g
FROM s12
COPY --from=side /g /etc /from-side/
`,
  ),
  own(
    'here-documents with quotes, tabs, variables and several a line',
    ':',
    `FROM BUSYBOX
ARG WHO=world
ENV V="a b"
RUN <<EOF
printf '%s\\n' "$V" '$V' "\${V}" \\
  "it's" > /a
EOF
RUN <<'EOF' cat > /b
$WHO "quoted" \\n 'x' \`y\`
EOF
RUN <<-EOF
\tcat > /c <<-INNER
\t\ttabs $WHO
\tINNER
\tEOF
COPY <<one <<"two" <<-three /d/
$WHO \\$WHO "$V"
one
$WHO \\$WHO "$V"
two
\t\t$WHO
three
COPY --chmod=640 --chown=7:8 <<EOF /e
EOF
ADD <<f.txt /f/
x\\
y
f.txt
RUN <<EOF
#!/bin/sh
echo "$0 $WHO" | sed s,/dev/pipes/,, > /g
EOF
`,
  ),
  own(
    'triggers of triggers',
    'mkdir d && echo a > d/a && echo b > d/b',
    `FROM BUSYBOX AS base
ONBUILD ARG N=1
ONBUILD COPY d/a /a
ONBUILD RUN echo fired $N > /fired
ONBUILD ENV FIRED=\${N}x
ONBUILD WORKDIR /w
FROM base AS child
RUN echo child >> /fired
ONBUILD ADD d/b .
FROM child
LABEL fired=$FIRED
`,
  ),
  own(
    'wildcards, brackets and names that look like them',
    "mkdir -p d/e x y && touch -- a1.txt a2.txt b1.txt 'c[0].txt' 'd/star*' d/e/deep.txt x/same y/other '-dash' 'sp ace' '$dollar' '#hash'",
    `FROM BUSYBOX
COPY a?.txt [b-c]*.txt /one/
COPY c[[]0].txt /two/
COPY d* /three/
COPY [xy] /four/
COPY */*.txt */*/*.txt /five/
COPY ["sp ace", "\\\\$dollar", "-dash", "/six/"]
COPY d/star[*] /eight
`,
  ),
  own(
    'destinations behind links, absolute, relative, dangling and in chains',
    'mkdir -p d/sub && echo f > f && echo g > d/sub/g',
    `FROM BUSYBOX
RUN mkdir -p /real/deep /usr/lib && ln -s /real /abs && ln -s real/deep /rel && ln -s /abs/deep /chain && ln -s ../../../../real /up && ln -s nowhere /dangling
COPY f /abs/f
COPY f /rel/
COPY d /chain/d
COPY d/ /up/
COPY f /dangling/x/f
WORKDIR /abs/work
COPY f .
RUN pwd > where && ln -s f link && ln -s /real/missing missing
COPY f link
`,
  ),
  own(
    'a file over a link, a link over a file, folders that meet',
    'mkdir -p d/both d/only && echo new > d/both/f && ln -s f d/both/l && echo t > target && ln -s target link && ln -s d dirlink',
    `FROM BUSYBOX
RUN mkdir -p /x/both /y && echo old > /x/both/f && echo old > /x/both/l && echo keep > /x/both/keep && chmod 700 /x/both && ln -s /etc/passwd /y/target
COPY d /x
COPY link /links/
COPY link dirlink /follow/
COPY dirlink /dir
COPY target /y/
COPY target /y/new/name
`,
  ),
  own(
    'archives with links, modes, long names, absolute and dotted paths',
    `mkdir -p t/d/e && echo a > t/d/a && ln t/d/a t/d/hard && ln -s ../a t/d/e/soft && chmod 4755 t/d/a && mkdir -m 1777 t/sticky && mkfifo t/fifo
long=$(printf 'n%.0s' $(seq 200)); mkdir -p t/$long/$long && echo l > t/$long/$long/file && ln -s $long/$long/$long t/longlink
touch -d @1000000000.5 t/d/e; chown 1234:5678 t/d/a; echo abs > t/abs
tar -C t -cf plain.tar . && tar -C t -czf a.tgz d && tar -C t -cJf named.wrong d/e && tar -C t -cjf b.tar.bz2 sticky fifo
tar -P --transform 's,^abs,/abs/olute,' -C t -cf absolute.tar abs && tar --format=ustar -C t -cf dots.tar ./d/../d/a ./d/./e 2>/dev/null
head -c 2000 plain.tar > cut.notar; printf 'text' > text.tar; : > empty.tar; rm -r t`,
    `FROM BUSYBOX
ADD plain.tar /plain/
ADD a.tgz named.wrong b.tar.bz2 /packed/
ADD absolute.tar /absolute/
ADD dots.tar /dots/
ADD text.tar empty.tar /kept/
ADD --chown=11:12 a.tgz /owned/
COPY plain.tar /copied/
`,
  ),
  own(
    'what was removed, replaced and made again, seen from another stage',
    'mkdir keep && touch keep/.keep',
    `FROM BUSYBOX AS made
RUN mkdir -p /d/sub /e /g && echo 1 > /d/f && echo 2 > /d/sub/f && echo 3 > /e/f && echo 4 > /g/a && echo 5 > /g/b
RUN rm -r /d && mkdir /d && echo new > /d/new
RUN rm /e/f && ln -s ../d /e/f && rm -r /g && echo file > /g
RUN rm -r /d/new /e && mkdir -p /e/f
RUN mv /etc/group /etc/moved && rm -r /home
FROM BUSYBOX
RUN mkdir -p /d && echo below > /d/f
COPY --from=made /d /d
COPY --from=made /e /g /etc /all/
COPY --from=made / /root-of-made/
`,
  ),
  own(
    'hard links within and across layers',
    'echo c > c && ln c c2',
    `FROM BUSYBOX AS made
RUN echo a > /a && ln /a /b && mkdir /d && ln /a /d/c
RUN ln /a /later
RUN rm /a && chmod 600 /later
COPY c c2 /ctx/
FROM BUSYBOX
COPY --from=made /b /d /later /ctx /all/
COPY --from=made /b /later /two/
`,
  ),
  own(
    'holes, empty files and folders, and large owners',
    'truncate -s 3M hole && printf end >> hole && mkdir -p empty/inner && : > nothing && chmod 000 nothing && chmod 711 empty',
    `FROM BUSYBOX
COPY hole nothing /f/
COPY empty /e
COPY empty/ /e2/
COPY empty nothing /e3/
COPY --chown=4294967294:4294967294 nothing /big
COPY --chown=2097152 nothing /octal-limit
RUN dd if=/dev/zero of=/hole bs=1 count=1 seek=2097152 2>/dev/null && chown 3000000000:3000000001 /hole && touch -d '2040-01-01 00:00:00' /e/late && touch -d '1960-01-01 00:00:00' /e/early
`,
  ),
  own(
    'special files, modes and times that a RUN leaves',
    'touch f',
    `FROM BUSYBOX AS made
RUN mkdir -p /s && mkfifo /s/fifo && mknod /s/null c 1 3 && touch /s/su && chmod 6755 /s/su && mkdir -m 3770 /s/dir && chown 1:2 /s/su && touch -d '2001-02-03 04:05:06' /s/dir
RUN chmod 0 /s/su && chown 3 /s/dir
RUN touch /s/fifo && mv /s/dir /s/moved
FROM BUSYBOX
COPY --from=made /s /s
COPY --from=made --chown=9:9 /s/moved /s/fifo /owned/
`,
  ),
  own(
    'long names, long links and names that are no UTF-8',
    `long=$(printf 'p%.0s' $(seq 120)); mkdir -p $long/$long/$long && echo x > $long/$long/$long/$(printf 'f%.0s' $(seq 255)) && ln -s $long/$long/$long/$long t
printf 'ü\\n' > 'ü€😀' && touch "$(printf 'tab\\there')" "$(printf 'new\\nline')" ' lead' 'trail '`,
    `FROM BUSYBOX
COPY . /all/
RUN cd /all && touch "$(printf 'raw\\377\\376')" && mkdir "$(printf 'd\\200')" && ln -s "$(printf 'to\\377')" "$(printf 'd\\200')/l"
`,
  ),
  own(
    'capabilities and other attributes',
    "cp /bin/busybox ping && setcap cap_net_raw+ep ping && setfattr -n user.note -v 'a b' ping && mkdir d && setfattr -n user.dir -v d d && setfattr -n user.bin -v 0x00ff01 ping",
    `FROM BUSYBOX AS made
COPY ping /ping
COPY d /d
RUN cp -a /ping /copy && chmod 711 /d
FROM BUSYBOX
COPY --from=made /ping /d /x/
COPY --from=made --chown=5:5 /ping /owned
COPY --from=made --chmod=700 /ping /moded
`,
  ),
  own(
    'variables in every instruction that takes them',
    'mkdir d && touch d/v1.2.txt d/app',
    `ARG VERSION=1.2
ARG BASE=BUSYBOX
FROM \${BASE}
ARG VERSION
ARG EMPTY=
ARG LATE=\${VERSION#1.}
ENV A=1 B=$A C=\${UNSET:-d$VERSION} D="\${VERSION%.*}" E=\${VERSION/./-} F='$A' G=\\$A
ENV B=$A H=\${EMPTY:+x}\${EMPTY+y}\${A:+z} PATH=$PATH:/opt/$A
WORKDIR /w$A/\${VERSION}
COPY d/v\${VERSION}.txt ./\${A}.txt
COPY --chown=\${A}:\${A} d/app ./
ADD d/app /add\${LATE}
EXPOSE \${A}000-\${A}002/udp 80
VOLUME /v$A "/v2"
USER \${A}0:\${A}1
STOPSIGNAL \${UNSET:-SIGINT}
LABEL a=$A "b \${A}"="c $VERSION" multi="x \\
y"
HEALTHCHECK --interval=\${A}s CMD echo $A
ENTRYPOINT ["e", "$A"]
CMD echo $A
`,
  ),
  own(
    'everything of the configuration',
    ':',
    `FROM BUSYBOX
MAINTAINER Some One <some@one.test>
SHELL ["/bin/sh", "-ec"]
EXPOSE 80 443/tcp 53/udp 8000-8003
VOLUME ["/a", "/b c"]
VOLUME /d /e
HEALTHCHECK --interval=1m30s --timeout=500ms --start-period=2h --start-interval=1s --retries=7 CMD ["x", "y z"]
LABEL a=1 a=2 "" = ""
`,
    { must_fail_at_line: 8 },
  ),
  own(
    'a shell, a command, an entrypoint, and what resets what',
    ':',
    `FROM BUSYBOX AS base
CMD ["from-base"]
ENTRYPOINT ["first"]
HEALTHCHECK CMD true
FROM base
SHELL ["/bin/sh", "-xc"]
ENTRYPOINT exec "$@" 'two words'
CMD ["a", 'b']
ONBUILD RUN echo "$A" \\
  more
HEALTHCHECK NONE
STOPSIGNAL 9
USER app
WORKDIR relative
WORKDIR ../other
`,
  ),
  own(
    'folders that WORKDIR and COPY make, and whose they are',
    'mkdir d && touch d/f f',
    `FROM BUSYBOX
USER app
WORKDIR /made/deep
COPY f ./sub/f
RUN id -u > /tmp/id && touch /made/deep/mine || echo no > /tmp/no
USER 1234:99
WORKDIR /made/deep/more
WORKDIR /tmp
COPY --chown=app d /owned/parents/d
COPY --chmod=u+x,go-r f /moded/f
`,
  ),
  own(
    'a folder that COPY makes for a file with a mode',
    'echo f > f',
    `FROM BUSYBOX
COPY --chmod=644 f /made/f
`,
  ),
  own(
    'what a RUN writes to a volume, a mount point and the files of the engine',
    'echo c > c',
    `FROM BUSYBOX
VOLUME /data
RUN mkdir -p /data && echo kept > /data/f
RUN --mount=type=bind,target=/ctx,rw --mount=type=tmpfs,target=/mem --mount=type=cache,target=/var/cache/x \\
    cat /ctx/c > /got && touch /ctx/new /mem/x /var/cache/x/y
RUN echo 1.2.3.4 own >> /etc/hosts; echo x >> /etc/resolv.conf; echo y > /etc/hostname; mkdir -p /dev/own /run/own && touch /run/own/f
RUN true
COPY c /data/c
`,
    // Mount points came and went in it.
    { fs_skip: ['(dir):var:mtime'] },
  ),
  own(
    'linked copies, and one on what is there',
    'mkdir d && touch d/f && echo 1 > f',
    `FROM BUSYBOX AS made
RUN mkdir /l && chmod 700 /l && echo f > /l/f
FROM BUSYBOX
RUN mkdir -m 700 /d && ln -s /d /link
COPY --link d /d
COPY --link --chown=3:4 f /new/parent/f
COPY --link --from=made /l /l
ADD --link f /d/
`,
  ),
  own(
    'an ignore file with exceptions, and a Dockerfile of its own',
    "mkdir -p a/b/c n/node_modules/x .git && touch a/1 a/b/2 a/b/c/3.md a/b/c/4.txt n/node_modules/x/f .git/config README.md x.pyc && printf '# c\\n**/*.md\\n!README.md\\n\\n  a/b  \\n!a/b/c/4.txt\\n**/node_modules\\n.git*\\n*.py[co]\\n/n/../x*\\n' > .dockerignore",
    'FROM BUSYBOX\nCOPY . /all\nCOPY a /a\n',
  ),
  own(
    'modes as changes, of files, folders and archives',
    'mkdir -p d/e t && touch d/f d/e/x t/f && chmod 4755 d/f && chmod 640 d/e/x && chmod 700 t/f && ln -s f d/l && cp d/f f && tar cf t.tar t',
    `FROM BUSYBOX
ARG M=u=rwx,go=r
COPY --chmod=u=rwX,go=rX d /a/
COPY --chmod=a+x d /b/
COPY --chmod=g=u,o= d /c/
COPY --chmod=+t,u+s d /d/
COPY --chmod=go-w,u-s f /e
COPY --chmod=a-x,a+X d /h/
COPY --chmod=-w f /i
COPY --chmod=u+rw,g+rs d/l /j
COPY --chmod=$M f /k
ADD --chmod=u+x,g-x --chown=3:4 t.tar /m/
ADD --chmod=\${NONE:-555} t.tar /n
`,
  ),
  own(
    'what ADD unpacks when it is told to, and not to',
    'mkdir -p t/u && echo 1 > t/u/f && tar czf t.tgz t && cp t.tgz noext && echo plain > p && rm -r t',
    `FROM BUSYBOX
ADD --unpack=false t.tgz /a/
ADD --unpack=true t.tgz noext p /b/
ADD --unpack noext /c/
ADD --unpack=false t.tgz /d
ADD noext p /e/
`,
  ),
  own(
    'what --exclude leaves out, of the context and of a stage',
    'mkdir -p d/e/f d/g && touch d/a.md d/b.txt d/e/c.md d/e/f/x.log d/g/k && echo "d/g/*" > .dockerignore',
    `FROM BUSYBOX AS made
RUN mkdir -p /app/node_modules/x /app/src/node_modules && touch /app/a.js /app/node_modules/x/i.js /app/src/b.ts /app/src/node_modules/z && chown -R 9:9 /app/src && ln -s a.js /app/l
FROM BUSYBOX
COPY --exclude=*.md d /a/
COPY --exclude=**/*.md --exclude=e/f d /b/
COPY --exclude=e --exclude=!e/c.md d /c/
COPY --exclude=d/e . /d/
COPY --exclude=**/x.log d/e d /e/
ADD --exclude=e/** d /g/
COPY --from=made --exclude=**/node_modules /app /app
COPY --from=made --exclude=node_modules --chown=1:1 /app/ /h/
COPY --from=made --exclude=*.ts --link /app/src /i
COPY --from=made --exclude=l --exclude=src/* /app /j/
`,
  ),
  own(
    'what --exclude leaves out by a variable',
    'mkdir d && touch d/a.md d/b.txt',
    `FROM BUSYBOX
ARG WHAT=*.md
COPY --exclude=$WHAT d /a/
`,
  ),
  own(
    'a file that is named and left out',
    'mkdir d && touch d/a.md d/b.txt d/c.md',
    `FROM BUSYBOX
COPY --exclude=*.md d/*.md d/*.txt /a/
COPY --exclude=b.txt d/b.txt d/c.md /b/
`,
  ),
  own(
    'triggers that take from stages, mount and hold here-documents',
    'echo 1 > f',
    `FROM BUSYBOX AS tool
RUN echo t > /tool
FROM BUSYBOX AS base
ONBUILD COPY --from=tool /tool /t
ONBUILD COPY --chmod=600 f /f
ONBUILD RUN <<EOF
echo a > /a
echo b >> /a
EOF
ONBUILD COPY <<one <<two /h/
1 $HOME
one
2
two
ONBUILD RUN --mount=from=tool,target=/m --mount=type=bind,source=f,target=/ff cat /m/tool /ff > /out
FROM base
RUN cat /a > /b
`,
  ),
  own(
    'triggers that say who runs, where and with what',
    'echo 1 > f',
    `FROM BUSYBOX AS base
ARG A=base
ONBUILD ARG A=trig
ONBUILD ENV E=\${A}-\${B:-none}
ONBUILD USER 7
ONBUILD COPY --chown=8 f /tmp/
ONBUILD SHELL ["/bin/sh", "-ec"]
ONBUILD RUN id -u > /tmp/u; echo $E > /tmp/e
ONBUILD CMD echo hi
ONBUILD ENTRYPOINT ["x"]
ONBUILD VOLUME /v
ONBUILD EXPOSE 80
ONBUILD LABEL a=$A
ONBUILD STOPSIGNAL SIGINT
ONBUILD HEALTHCHECK NONE
FROM base AS two
ONBUILD RUN true
FROM base
ARG B=late
RUN echo $A $B > /tmp/g
`,
  ),
  own(
    'a repository by tag, branch, commit and part',
    ':',
    `FROM BUSYBOX
ADD SERVED/repo.git#v1 /a
ADD SERVED/repo.git#light:sub /b/
ADD SERVED/repo.git#feature /c
ADD SERVED/repo.git?ref=feature&subdir=sub/deep /d
ADD SERVED/repo.git?tag=v1&subdir=/sub /e/
ADD SERVED/repo.git?branch=feature /f
ADD SERVED/repo.git /g
ADD SERVED/repo.git#refs/heads/feature:sub /h
ADD SERVED/repo.git#COMMIT /i
ADD --checksum=COMMIT SERVED/repo.git#v1:sub/deep /j
ADD SERVED/repo.git?ref=v1&checksum=COMMIT /k
ADD --exclude=deep --exclude=up SERVED/repo.git#v1:sub /l
ADD --link SERVED/repo.git#v1 /m
WORKDIR /tmp
ADD SERVED/repo.git#v1 .
ADD SERVED/repo.git#v1:sub/deep x/
`,
  ),
  own(
    'a repository with what git knows of it',
    ':',
    `FROM BUSYBOX AS made
ADD --keep-git-dir=true SERVED/repo.git#v1 /a
ADD --keep-git-dir SERVED/repo.git#v1:sub /b
ADD SERVED/repo.git?ref=v1&keep-git-dir=1 /c
RUN cat /a/.git/HEAD /a/.git/config /c/.git/HEAD > /heads; cat /a/.git/refs/tags/v1 > /tag; ls -a /b > /part
FROM BUSYBOX
COPY --from=made /heads /tag /part /
`,
  ),
  own(
    'files of a web server, their names, modes and archives',
    'echo local > local',
    `FROM BUSYBOX
ADD SERVED/file.txt /a
ADD SERVED/file.txt /b/
ADD SERVED/file.txt SERVED/noext local /c/
ADD --chmod=755 --chown=1:2 SERVED/file.txt /d
ADD SERVED/a.tar.gz /e/
ADD --unpack=true SERVED/a.tar.gz /f/
ADD --unpack SERVED/wrong.txt /g/
ADD --unpack=true SERVED/file.txt /h/
ADD SERVED/noext?x=1 /i/
ADD --unpack --chown=3:3 SERVED/a.tar.gz /j
`,
    { fs_skip: ['b', 'c', 'e', 'f', 'g', 'h', 'i', 'j'].map((path) => `(dir):${path}:mtime`) },
  ),
];
