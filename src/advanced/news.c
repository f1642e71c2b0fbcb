#include "advanced/news.h"

#include "advanced/wake.h"

void hqq_news_add(struct hqq_advanced *advanced, struct hqq_news *news, enum hqq_news_kind kind, void *object)
{
    news->kind = kind;
    news->object = object;
    news->next = NULL;
    news->link = advanced->last_news;
    *news->link = news;
    advanced->last_news = &news->next;
    hqq_advanced_wake(advanced, &advanced->news);
}

void hqq_news_remove(struct hqq_advanced *advanced, struct hqq_news *news)
{
    if (!news->link)
        return;
    *news->link = news->next;
    if (news->next)
        news->next->link = news->link;
    else
        advanced->last_news = news->link;
    news->link = NULL;
}
