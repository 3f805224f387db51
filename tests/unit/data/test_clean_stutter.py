"""Both ways: what is a stutter, and what only looks like one."""

import pytest

from duobiao.data.clean import build_chain

stutter = build_chain(["stutter"])

SAID_ONCE = """
是的是的是的 是的 | 我我现在 我现在 | 我我我现在不方便 我现在不方便 | 谢谢谢谢 谢谢 | 对对对 对 | 对对 对 | 行行行 行
嗯嗯嗯 嗯 | 好好好 好 | 好好好好 好 | 你好你好 你好 | 不是不是 不是 | 不是不是我是说 不是我是说 | 没有没有你打错了 没有你打错了
可以可以 可以 | 满意满意 满意 | 知道了知道了 知道了 | 打错了打错了 打错了 | 好的好的 好的 | 行吧行吧 行吧
不需要不需要 不需要 | 等一下等一下 等一下 | 我想我想问一下 我想问一下 | 就是就是说 就是说
怎么怎么办 怎么办 | 你说你说 你说
今天今天没空 今天没空 | 明天明天下午 明天下午 | 这这这个 这个 | 这这个不行 这个不行 | 那那边 那边 | 您您好 您好
你你打错了 你打错了 | 不搬不搬 不搬
我我们现在 我们现在 | 不不用了 不用了 | 不不不 不 | 是是是我 是我 | 会会不会 会不会 | 有有没有 有没有 | 能能不能 能不能
我在在开会 我在开会 | 挂了挂了 挂了
非常非常非常好 非常好 | 我觉得我我不需要 我觉得我不需要 | 太太太贵了 太贵了 | 刚刚刚刚 刚刚 | 妈妈妈妈 妈妈 | 慢慢慢慢来 慢慢来
什什么 什么 | 什么什么 什么 | 因因为 因为 | 还还没到 还没到 | 就就是 就是 | 都都是 都是 | 为为什么 为什么 | 但但是 但是
地址地址是幸福路 地址是幸福路 | 快递快递没到 快递没到 | 客服客服 客服 | 人工人工人工 人工 | 不要不要不要 不要
我现在不方便我现在不方便 我现在不方便 | 听不到听不到 听不到 | 喂听得到吗听得到吗 喂听得到吗 | 喂喂喂 喂
呃我我现在在开会呢你你过一个小时再打吧 呃我现在在开会呢你过一个小时再打吧
我，我现在不方便 我现在不方便 | 是的，是的，是的。 是的。 | 对，对，对 对 | 可以，可以，周边酒店有哪些 可以，周边酒店有哪些
是本人是本人，刚才没听清 是本人，刚才没听清 | 扣了扣了，扣了两回啦 扣了，扣了两回啦
"""
LEFT_ALONE = """
看看 天天 谢谢 爸爸 慢慢 好好 宝宝 拜拜 星星 太太在家 爷爷奶奶 大大的 等等我
聊聊 帮我查查 我想问问 试试看 来来来 个个都好 人人都说好
高高兴兴 干干净净 开开心心 彬彬有礼 一一对应 研究研究 我们研究研究再说 商量商量 考虑考虑再说吧 了解了解 联系联系 研究，研究
一天一天 一步一步 一个一个来 119 1000 三三 三点三点 第一第一 幺三八幺三八 百分之三三 上上周
是不是不是 要要求退款 我要要求退款 在在线客服问过 我现在在开会 对对方说 打开开关 明天天气怎么样 你给我发发票 我想问问题
有有效期吗 会会员打折吗 把把手修一下 我还还款呢 滴滴打车 吉林吉林市 哪里哪里 哈哈哈哈 非常非常好 真的真的
告诉你你别来 我打给他他不接 对是我我现在不方便 我不是我我是谁 不，不用了
问客服，客服说不管 问客服客服说都一样 我找快递快递说找卖家，找卖家卖家说找快递 打电话问你们，你们说不归你们
我要找客服，客服 券过期，券过期了你说不能补 说没货，没货你卖啥 爱找谁找谁去 撑着撑着缩回去了 好不好 abcabc 哈哈
"""


@pytest.mark.parametrize("pair", [one.strip() for line in SAID_ONCE.strip().splitlines() for one in line.split("|")])
def test_stuttered_words_are_said_once(pair: str):
    text, found = pair.split()
    assert stutter(text) == found


@pytest.mark.parametrize("text", LEFT_ALONE.split())
def test_what_only_looks_like_a_stutter_stays(text: str):
    assert stutter(text) == text


def test_other_writing_around_it_stays():
    assert stutter("OK，我我要iPhone15 15，3月3日\n对对！") == "OK，我要iPhone15 15，3月3日\n对！"


def test_own_words_are_known_as_words():
    text = "呷哺呷哺在哪"
    assert stutter(text) == "呷哺在哪"
    assert build_chain([{"stutter": {"dictionary": ["呷哺呷哺"]}}])(text) == text
    assert stutter(text) == "呷哺在哪"  # one chain's words are no other's
