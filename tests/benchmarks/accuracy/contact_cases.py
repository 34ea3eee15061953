"""Lines as viewers write them, with the contact that is in them, and lines that look like it and have none.

Written by hand before the finder was tuned, and parted by `is_held_out`; the numbers, names and hosts are nobody's.
"""

from __future__ import annotations

import hashlib

from streammon.judge.contacts.contact import ContactKind as Kind

Case = tuple[str, Kind, str]
"""A line, the kind of contact in it, and its value once tricks are undone."""

_PHONES = """
13800138000|13800138000
138-0013-8000 微信同号|13800138000
电话138 0013 8000|13800138000
联系我：１３８００１３８０００|13800138000
一三八零零一三八零零零|13800138000
壹叁捌零零壹叁捌零零零 打给我|13800138000
幺三八 零零幺三 八零零零|13800138000
1三8零0一3八零0零|13800138000
1380O138OOO|13800138000
l38OOl38OOO|13800138000
138OO138ooo加我|13800138000
1 3 8 0 0 1 3 8 0 0 0|13800138000
1.3.8.0.0.1.3.8.0.0.0|13800138000
1-3-8-0-0-1-3-8-0-0-0|13800138000
138★0013★8000|13800138000
138~0013~8000|13800138000
138_0013_8000|13800138000
138，0013，8000|13800138000
+86 138 0013 8000|13800138000
+8613800138000|13800138000
0086-138-0013-8000|13800138000
8613800138000|13800138000
(+86)13800138000|13800138000
1️⃣3️⃣8️⃣0️⃣0️⃣1️⃣3️⃣8️⃣0️⃣0️⃣0️⃣|13800138000
①③⑧零零①③⑧零零零|13800138000
手机13912345678速来|13912345678
有需要打 188 8888 1234|18888881234
189 1234 5678 老王|18912345678
主播私聊15012345678|15012345678
兼职日结 17712345678|17712345678
tel:19912345678|19912345678
V13612345678|13612345678
159\u200b1234\u200b5678|15912345678
159 1234-5678|15912345678
call +1 650-253-0000 now|+16502530000
+44 20 7031 3000|+442070313000
text me at +62 812 3456 7890|+6281234567890
+852 2345 6789|+85223456789
010-62345678 订票热线|+861062345678
客服 021-54321234|+862154321234
电话：0755-26712345|+8675526712345
"""
_WECHAT = """
vx: abc123|abc123
VX abc_12345|abc_12345
vx：lucky_girl|lucky_girl
加薇 abc12345|abc12345
加薇abc12345领福利|abc12345
加微信 abc12345 领福利|abc12345
微信号：wxid_8a7b6c|wxid_8a7b6c
微信:qwer1234|qwer1234
微 信 zxcv5678|zxcv5678
wechat id: coolguy|coolguy
WeChat: cool_guy88|cool_guy88
+v xiaomei520|xiaomei520
加v xiaomei520|xiaomei520
➕V：xiaomei520|xiaomei520
威信 hello2024|hello2024
薇信hello2024|hello2024
徽信 hello2024|hello2024
维信：hello2024|hello2024
v信 hello2024|hello2024
wx hello2024|hello2024
WX:hello_2024|hello_2024
w x 号 hello2024|hello2024
v❤：hello2024|hello2024
薇❤hello2024|hello2024
加微hello2024|hello2024
卫星号 hello2024|hello2024
绿泡泡 hello2024|hello2024
ｖｘ：ｈｅｌｌｏ２０２４|hello2024
vx 88123456|88123456
weixin hello-2024|hello-2024
微信搜 hello2024|hello2024
我的微信是 hello2024|hello2024
加我v hello2024|hello2024
v x hello2024|hello2024
"""
_QQ = """
QQ 123456789|123456789
qq:12345678|12345678
QQ群 987654321|987654321
扣扣 123456789|123456789
加q 1234567|1234567
企鹅号 123456789|123456789
Q号：一二三四五六七八|12345678
qq１２３４５６７８|12345678
球球 12345678|12345678
扣群123456789|123456789
QQ：123-456-789|123456789
Q 1 2 3 4 5 6 7 8|12345678
加扣扣群：88776655|88776655
"""
_TELEGRAM = """
tg @name|name
tg: lucky_room|lucky_room
Telegram: @luckyroom88|luckyroom88
telegram luckyroom88|luckyroom88
t.me/name|name
https://t.me/luckyroom|luckyroom
t . me / luckyroom|luckyroom
t点me/luckyroom|luckyroom
电报 @luckyroom|luckyroom
电报群 luckyroom88|luckyroom88
纸飞机：luckyroom88|luckyroom88
飞机号 luckyroom88|luckyroom88
✈️ @luckyroom|luckyroom
TG号：luckyroom|luckyroom
telegram.me/luckyroom|luckyroom
"""
_WHATSAPP = """
wa.me/8613800138000|8613800138000
whatsapp +62 812 3456 7890|+6281234567890
WhatsApp: 081234567890|081234567890
WA: +44 7911 123456|+447911123456
whats app 7911123456|7911123456
https://wa.me/447911123456|447911123456
chat.whatsapp.com/AbCdEf123456|AbCdEf123456
"""
_LINE = """
line id: abc_123|abc_123
LINE ID abc123|abc123
line：@lucky77|lucky77
加line：lucky.77|lucky.77
LINE @luckyroom|luckyroom
lin.ee/AbCdEf|AbCdEf
line.me/ti/p/AbCdEf12|AbCdEf12
"""
_EMAIL = """
name@gmail.com|name@gmail.com
first.last+x@example.co.uk|first.last+x@example.co.uk
mail me: 123456@qq.com|123456@qq.com
name at gmail dot com|name@gmail.com
name (at) gmail (dot) com|name@gmail.com
name[at]gmail[dot]com|name@gmail.com
name＠gmail．com|name@gmail.com
name @ gmail . com|name@gmail.com
name艾特qq点com|name@qq.com
name at gmail.com|name@gmail.com
邮箱name@163.com发简历|name@163.com
name@gmail点com|name@gmail.com
"""
_URL = """
example.com|example.com
www.example.com|www.example.com
http://example.com/a?b=1|example.com
https://shop.example.com|shop.example.com
hxxp://example.com|example.com
hxxps://example[.]com/x|example.com
example . com|example.com
example .com|example.com
example点com|example.com
example 点 com|example.com
example dot com|example.com
example(dot)com|example.com
example[.]com|example.com
example。com|example.com
example｡com|example.com
ｅｘａｍｐｌｅ．ｃｏｍ|example.com
上 example.vip 领红包|example.vip
访问example88.top注册|example88.top
百度搜 888casino.cc|888casino.cc
www 点 example 点 com|www.example.com
w w w . example . com|
例子.中国|xn--fsqu00a.xn--fiqs8s
https://例子.中国/a|xn--fsqu00a.xn--fiqs8s
xn--fsqu00a.xn--fiqs8s|xn--fsqu00a.xn--fiqs8s
еxample.com|xn--xample-2of.com
Go to EXAMPLE.COM now|example.com
example.xyz/invite/88|example.xyz
exa\u200bmple.com|example.com
http:// example.com|example.com
http://10.20.30.40/live|10.20.30.40
bit.ly/3abcd|bit.ly
看片 e1234.tv|e1234.tv
163点com|163.com
example·com|example.com
下载example.app|example.app
"""


def _read(kind: Kind, table: str) -> list[Case]:
    """Numbers without a country are Chinese. `\\u200b` stands for the character that nobody sees."""
    cases = []
    for row in table.strip().splitlines():
        text, _, value = row.rpartition("|")
        whole = f"+86{value}" if kind is Kind.PHONE and not value.startswith("+") else value
        if value:
            cases.append((text, kind, whole))
    return cases


CASES: tuple[Case, ...] = tuple(
    case
    for kind, table in (
        (Kind.PHONE, _PHONES), (Kind.WECHAT, _WECHAT), (Kind.QQ, _QQ), (Kind.TELEGRAM, _TELEGRAM),
        (Kind.WHATSAPP, _WHATSAPP), (Kind.LINE, _LINE), (Kind.EMAIL, _EMAIL), (Kind.URL, _URL),
    )
    for case in _read(kind, table)
)  # fmt: skip

HARMLESS: tuple[str, ...] = tuple(
    """
主播好漂亮
房间号 12345678
房间号13800138000
直播间：88888888
订单号 13800138000 什么时候发货
单号 138001380001234
2024年10月12日 13:30 开播
2024-10-12 13:30:45
比分 3:2 加时 5:4
价格 ¥13800138000
¥199.00 包邮 5 件
13800138000元
我有12345678901个粉丝
礼物 x 99999
扣1 扣1 扣1
扣 6666
QQ音乐最好听
qq农场还有人玩吗
QQ 2024
微信支付成功
微信红包来了
微信已经更新到8.0版本
wechat is down again
WeChat: please update the app
电报是什么年代的东西
飞机几点起飞
飞机 flight 到了吗
the telegram arrived late
telegram is an app
line 100 of the file
Line: the best one
stand in line please
the finish line is near
一二三四五六七八九十
三三两两五五六六
一九八四年出生
我今年二十三岁，身高一米八零
双十一买了一百二十三块
123456
12345678
1234567890123456
100 200 300 400
1 2 3 4 5 6 7 8 9 10 11 12
0.1 0.2 0.3
3.1415926535
v1.2.3.4
192.168.1.1
index.html
main.py and util.rs
readme.md
I love it.Really
It is done.So what
end.It was nice
Hello.My name is Li
e.g. this, i.e. that
U.S.A. and U.K.
好的。是的。对的
走吧.不走了
look at me
I am at home. Come over
meet at 5 dot 30
polka dot dress
三点半开始
下午3点cc见
5点到了
@主播 你好
@name hi
hi @everyone
ps5 vs xbox
v5 v587 威武
vivo x100 pro
加油加油
加我一个
加V会员
vx is what
wx小程序打不开
微博热搜第一
薇娅来了
卫星发射成功
卫星 2024 发射
绿色软件下载
企鹅好可爱
企鹅 12 只
球球大作战
uid 123456789
ID:88888888
期号 20241012001
工号 100861
ISBN 978-7-111-12345-6
股票代码 600519
1280x720 60fps
4090 显卡 12999
1,234,567,890
10000000000
99999999999
12580
+1 +1 +1
+10086
score: 138 001
第13800138000号
13:30:45 22:10:05
2023/11/11 11:11:11
A1B2C3D4
abc123
call me maybe
phone is dead
mail it at once
what's up at work.my boss
ha.ha.ha
666.666
...com
点com
.com 泡沫
""".strip().splitlines()
)


def is_held_out(text: str) -> bool:
    """Whether a case is for reporting alone: by its text's hash, as likely as not."""
    return hashlib.sha256(text.encode()).digest()[0] % 2 == 1
