"""Listed words in lines of text: read from files, found however they are written."""

from streammon.judge.keywords.lists import KeywordList, read_keyword_list
from streammon.judge.keywords.matcher import KeywordMatcher, Match

__all__ = ["KeywordList", "KeywordMatcher", "Match", "read_keyword_list"]
