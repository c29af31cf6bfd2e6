"""Jobs that a killed queue lost: records whose status is not the one their dataset's number of answers makes.

A webhook's call that waited is lost with the queue; only a Redis of its own keeps it.
"""

from __future__ import annotations

import asyncio
import logging
from uuid import UUID

_LOGGER = logging.getLogger(__name__)


def ask_again(n_workers_before: int) -> None:
    """Queue what was begun by a worker that died, and datasets whose records stand otherwise than they should."""
    from argilla_server.jobs.dataset_jobs import update_dataset_records_status_job
    from argilla_server.jobs.queues import DEFAULT_QUEUE, HIGH_QUEUE

    for queue in (HIGH_QUEUE, DEFAULT_QUEUE):
        registry = queue.started_job_registry
        for job_id in registry.get_job_ids():
            job = queue.fetch_job(job_id)
            registry.remove(job_id)
            if job is not None:
                queue.enqueue_job(job)
    if n_workers_before == 0:
        for dataset_id in asyncio.run(stale_datasets()):
            _LOGGER.warning("records of dataset %s have another status than they should: mended", dataset_id)
            update_dataset_records_status_job.delay(dataset_id)


async def stale_datasets() -> list[UUID]:
    """Return the datasets with a record that is completed with too few answers, or pending with enough."""
    from argilla_server.database import AsyncSessionLocal, async_engine
    from argilla_server.enums import DatasetStatus, RecordStatus, ResponseStatus
    from argilla_server.models import Dataset, Record, Response
    from sqlalchemy import func, select

    answered = (
        select(Response.record_id, func.count().label("n"))
        .where(Response.status == ResponseStatus.submitted)
        .group_by(Response.record_id)
        .subquery()
    )
    found = []
    async with AsyncSessionLocal() as session:
        datasets = (await session.execute(select(Dataset).where(Dataset.status == DatasetStatus.ready))).scalars().all()
        for dataset in datasets:
            n_answers = func.coalesce(answered.c.n, 0)
            is_enough = n_answers >= dataset.distribution["min_submitted"]
            is_completed = Record.status == RecordStatus.completed
            wrong = (
                select(Record.id)
                .outerjoin(answered, answered.c.record_id == Record.id)
                .where(Record.dataset_id == dataset.id, is_enough != is_completed)
                .limit(1)
            )
            if (await session.execute(wrong)).first() is not None:
                found.append(dataset.id)
    await async_engine.dispose()  # its connections belong to this loop
    return found
