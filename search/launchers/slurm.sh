#!/bin/bash
# Workers of one study as an array job. Edit freely: sites differ.
# A worker that is preempted or runs out of time hands its trial back, exits with 75, and its
# element of the array is requeued; one that is cancelled is not.
#SBATCH --job-name=$name
#SBATCH --array=$array
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@$notice
#SBATCH --output=$logs/%x_%a.log
$options

# Not B:TERM: bash would die of it, and the worker with it, unheard.
trap 'kill -USR1 $$WORKER' USR1 # srun forwards it to the worker
trap : TERM                    # the worker gets its own; this shell must outlive it
ELEMENT=$${SLURM_ARRAY_JOB_ID:+$${SLURM_ARRAY_JOB_ID}_$${SLURM_ARRAY_TASK_ID}}
ELEMENT=$${ELEMENT:-$$SLURM_JOB_ID}
export OMP_NUM_THREADS=$${SLURM_CPUS_PER_TASK:-1}

# Without srun the worker would hear of a preemption only when its time is up.
srun --unbuffered --kill-on-bad-exit=0 $command &
WORKER=$$!
while kill -0 $$WORKER 2>/dev/null; do
    wait $$WORKER
    CODE=$$?
done

# Only a job that still runs is requeued: a cancelled one would rise from the dead. The element is
# named in full: SLURM_JOB_ID of the last element is the id of the whole array.
STATE=$$(scontrol show job -o "$$ELEMENT" | grep -oE 'JobState=[A-Z_]+')
if [ "$$CODE" = 75 ] && [ "$$STATE" = JobState=RUNNING ]; then
    scontrol requeue "$$ELEMENT"
    sleep 60
fi
exit "$$CODE"
